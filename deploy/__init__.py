"""What runs beside the pipeline: instances, alert rules, dashboards. No part of the package."""

"""Alert rules for Prometheus, whom Alertmanager tells, and the page that explains each alert."""

#!/bin/sh
# PostgreSQL's image runs this once, in an empty volume: a database for Dagster beside the store's.
set -eu
createdb --username "$POSTGRES_USER" dagster

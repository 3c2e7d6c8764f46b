#!/bin/sh
# Two databases, each of a role of its own that cannot open the other's. PostgreSQL's image runs this once, when it makes the data folder.
set -eu
for name in hpsearch mlflow; do
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<SQL
\set password \`cat /run/secrets/database_${name}_password\`
CREATE ROLE $name LOGIN PASSWORD :'password';
CREATE DATABASE $name OWNER $name;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres --command 'REVOKE ALL ON DATABASE postgres FROM PUBLIC'

#!/bin/sh
# Two databases, each of a role of its own that cannot open the other's; and one that reads the ledger and can do nothing else, for dashboards.
# PostgreSQL's image runs this once, when it makes the data folder.
set -eu
ask() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname "$1"
}
for name in hpsearch mlflow grafana; do
    ask postgres <<SQL
\set password \`cat /run/secrets/database_${name}_password\`
CREATE ROLE $name LOGIN PASSWORD :'password';
SQL
done
for name in hpsearch mlflow; do
    ask postgres <<SQL
CREATE DATABASE $name OWNER $name;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done
ask hpsearch <<SQL
GRANT CONNECT ON DATABASE hpsearch TO grafana;
ALTER DEFAULT PRIVILEGES FOR ROLE hpsearch IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
ALTER ROLE grafana CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
ALTER ROLE grafana SET timezone = 'UTC';
SQL
echo 'REVOKE ALL ON DATABASE postgres FROM PUBLIC' | ask postgres

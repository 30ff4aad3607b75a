-- The users of a farwatch database by their tasks, after roles.sql; it may run any number of times and
-- then sets their passwords again. The passwords are files of the folder that SECRETS names
-- (/run/secrets without), so that no command line shows them; run it by a superuser, with psql:
--
--   SECRETS=deploy/secrets psql -d farwatch -v ON_ERROR_STOP=1 -f deploy/sql/logins.sql
--
-- fw_admin   makes and extends the tables (`farwatch tables`), puts zones and rules
-- fw_flow    what flows log in as; it also keeps the zones and rules that come from files
-- fw_reader  status, reports, dashboards
\set admin_password `cat "${SECRETS:-/run/secrets}/postgresql_admin_password"`
\set flow_password `cat "${SECRETS:-/run/secrets}/postgresql_flow_password"`
\set reader_password `cat "${SECRETS:-/run/secrets}/postgresql_reader_password"`
SET client_min_messages = 'warning';
-- No part of it is to stand in the server's log.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SELECT format('CREATE ROLE %I NOSUPERUSER', name)
FROM unnest(ARRAY['fw_admin', 'fw_flow', 'fw_reader']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE fw_admin LOGIN PASSWORD :'admin_password';
ALTER ROLE fw_flow LOGIN PASSWORD :'flow_password';
ALTER ROLE fw_reader LOGIN PASSWORD :'reader_password';
GRANT farwatch_admin TO fw_admin;
ALTER ROLE fw_admin SET role = 'farwatch_admin';
GRANT farwatch_flow, farwatch_registrar TO fw_flow;
GRANT farwatch_reader TO fw_reader;

-- Roles of a farwatch database, each with the least it needs. Run it by a superuser in the database,
-- once before and once after the tables are made, and after each upgrade; it may run any number of
-- times. deploy/README.md, PostgreSQL, has the commands around it, logins among them.
--
-- farwatch_admin      owns the tables; makes and extends them, adds zones and rules
-- farwatch_registrar  adds versions of zones and rules, each with a line in audit_log
-- farwatch_flow       adds events and what became of commands (audit_log), keeps vehicle_states;
--                     changes and deletes nothing else. A flow
--                     whose zones or rules come from files also needs farwatch_registrar, to keep
--                     what it judges by; one that reads them from this database does not.
-- farwatch_reader     reads everything: status, reports, dashboards
DO $roles$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['farwatch_admin', 'farwatch_registrar', 'farwatch_flow', 'farwatch_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', name);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO farwatch_admin, farwatch_flow', current_database());
END
$roles$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO farwatch_registrar, farwatch_flow, farwatch_reader;
GRANT USAGE, CREATE ON SCHEMA public TO farwatch_admin;

DO $tables$
DECLARE
    name text;
    is_event boolean;
BEGIN
    FOR name, is_event IN
        SELECT c.relname, EXISTS (
            SELECT FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attname = 'event_id' AND NOT a.attisdropped)
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    LOOP
        EXECUTE format('ALTER TABLE public.%I OWNER TO farwatch_admin', name);
        EXECUTE format(
            'REVOKE ALL ON public.%I FROM PUBLIC, farwatch_registrar, farwatch_flow, farwatch_reader', name);
        EXECUTE format('GRANT SELECT ON public.%I TO farwatch_reader', name);
        IF is_event THEN
            EXECUTE format('GRANT SELECT, INSERT ON public.%I TO farwatch_flow', name);
        ELSIF name = 'vehicle_states' THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON public.%I TO farwatch_flow', name);
        ELSIF name IN ('zones', 'rules') THEN
            EXECUTE format('GRANT SELECT ON public.%I TO farwatch_flow', name);
            EXECUTE format('GRANT SELECT, INSERT ON public.%I TO farwatch_registrar', name);
        ELSIF name = 'farwatch_schema' THEN
            EXECUTE format('GRANT SELECT ON public.%I TO farwatch_flow, farwatch_registrar', name);
        ELSIF name = 'audit_log' THEN
            EXECUTE format('GRANT INSERT ON public.%I TO farwatch_registrar, farwatch_flow', name);
        END IF;
    END LOOP;
    IF to_regprocedure('public.farwatch_registry_changed()') IS NOT NULL THEN
        ALTER FUNCTION public.farwatch_registry_changed() OWNER TO farwatch_admin;
    END IF;
END
$tables$;

-- For psql, as postgres, over the local socket. Says "changed: ..." for what it changed; a second run is silent.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on

\connect "postgres"
-- Passwords, even as verifiers, do not belong into the server's log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SELECT 'CREATE ROLE "replicator" LOGIN', 'SELECT ''changed: role replicator''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'replicator')) \gexec
SELECT 'ALTER ROLE "replicator" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS REPLICATION', 'SELECT ''changed: attributes of role replicator''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'replicator' AND rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls AND rolreplication = true)) \gexec
SELECT 'ALTER ROLE "replicator" PASSWORD ''SCRAM-SHA-256$4096:00000000000000000000000=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=''', 'SELECT ''changed: password of role replicator''' WHERE NOT (EXISTS (SELECT FROM pg_authid WHERE rolname = 'replicator' AND rolpassword = 'SCRAM-SHA-256$4096:00000000000000000000000=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=')) \gexec
SELECT 'CREATE ROLE "rewind" LOGIN', 'SELECT ''changed: role rewind''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'rewind')) \gexec
SELECT 'ALTER ROLE "rewind" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION', 'SELECT ''changed: attributes of role rewind''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'rewind' AND rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls AND rolreplication = false)) \gexec
SELECT 'ALTER ROLE "rewind" PASSWORD ''SCRAM-SHA-256$4096:00000000000000000000001=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=''', 'SELECT ''changed: password of role rewind''' WHERE NOT (EXISTS (SELECT FROM pg_authid WHERE rolname = 'rewind' AND rolpassword = 'SCRAM-SHA-256$4096:00000000000000000000001=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=')) \gexec
SELECT 'CREATE ROLE "orthanc" LOGIN', 'SELECT ''changed: role orthanc''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'orthanc')) \gexec
SELECT 'ALTER ROLE "orthanc" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION', 'SELECT ''changed: attributes of role orthanc''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'orthanc' AND rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls AND rolreplication = false)) \gexec
SELECT 'ALTER ROLE "orthanc" PASSWORD ''SCRAM-SHA-256$4096:00000000000000000000002=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=''', 'SELECT ''changed: password of role orthanc''' WHERE NOT (EXISTS (SELECT FROM pg_authid WHERE rolname = 'orthanc' AND rolpassword = 'SCRAM-SHA-256$4096:00000000000000000000002=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=')) \gexec
SELECT 'CREATE ROLE "hactl_monitor" LOGIN', 'SELECT ''changed: role hactl_monitor''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'hactl_monitor')) \gexec
SELECT 'ALTER ROLE "hactl_monitor" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION', 'SELECT ''changed: attributes of role hactl_monitor''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'hactl_monitor' AND rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls AND rolreplication = false)) \gexec
SELECT 'ALTER ROLE "hactl_monitor" PASSWORD ''SCRAM-SHA-256$4096:00000000000000000000003=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=''', 'SELECT ''changed: password of role hactl_monitor''' WHERE NOT (EXISTS (SELECT FROM pg_authid WHERE rolname = 'hactl_monitor' AND rolpassword = 'SCRAM-SHA-256$4096:00000000000000000000003=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=')) \gexec
SELECT 'CREATE ROLE "hactl_probe" LOGIN', 'SELECT ''changed: role hactl_probe''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'hactl_probe')) \gexec
SELECT 'ALTER ROLE "hactl_probe" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION', 'SELECT ''changed: attributes of role hactl_probe''' WHERE NOT (EXISTS (SELECT FROM pg_roles WHERE rolname = 'hactl_probe' AND rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls AND rolreplication = false)) \gexec
SELECT 'ALTER ROLE "hactl_probe" PASSWORD ''SCRAM-SHA-256$4096:00000000000000000000004=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=''', 'SELECT ''changed: password of role hactl_probe''' WHERE NOT (EXISTS (SELECT FROM pg_authid WHERE rolname = 'hactl_probe' AND rolpassword = 'SCRAM-SHA-256$4096:00000000000000000000004=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=')) \gexec
SELECT 'ALTER ROLE "orthanc" SET synchronous_commit = ''on''', 'SELECT ''changed: role orthanc commits synchronously''' WHERE NOT (EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = 0 AND r.rolname = 'orthanc' AND 'synchronous_commit=on' = ANY (s.setconfig))) \gexec
SELECT 'DO ''DECLARE reset text; BEGIN FOR reset IN SELECT format(''''ALTER ROLE %I IN DATABASE %I RESET synchronous_commit'''', rolname, datname) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = ''''orthanc'''' AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE split_part(c, ''''='''', 1) = ''''synchronous_commit'''') LOOP EXECUTE reset; END LOOP; END''', 'SELECT ''changed: role orthanc commits synchronously in each database''' WHERE NOT (NOT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = 'orthanc' AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE split_part(c, '=', 1) = 'synchronous_commit'))) \gexec
SELECT 'ALTER ROLE "hactl_probe" SET synchronous_commit = ''on''', 'SELECT ''changed: role hactl_probe commits synchronously''' WHERE NOT (EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = 0 AND r.rolname = 'hactl_probe' AND 'synchronous_commit=on' = ANY (s.setconfig))) \gexec
SELECT 'DO ''DECLARE reset text; BEGIN FOR reset IN SELECT format(''''ALTER ROLE %I IN DATABASE %I RESET synchronous_commit'''', rolname, datname) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = ''''hactl_probe'''' AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE split_part(c, ''''='''', 1) = ''''synchronous_commit'''') LOOP EXECUTE reset; END LOOP; END''', 'SELECT ''changed: role hactl_probe commits synchronously in each database''' WHERE NOT (NOT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = 'hactl_probe' AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE split_part(c, '=', 1) = 'synchronous_commit'))) \gexec
SELECT 'GRANT pg_monitor TO "hactl_monitor"', 'SELECT ''changed: role hactl_monitor reads statistics''' WHERE NOT (pg_has_role('hactl_monitor', 'pg_monitor', 'MEMBER')) \gexec
SELECT 'GRANT pg_checkpoint TO "hactl_monitor"', 'SELECT ''changed: role hactl_monitor may checkpoint''' WHERE NOT (pg_has_role('hactl_monitor', 'pg_checkpoint', 'MEMBER')) \gexec
SELECT 'CREATE DATABASE "orthanc" OWNER "orthanc"', 'SELECT ''changed: database orthanc''' WHERE NOT (EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = 'orthanc')) \gexec
SELECT 'ALTER DATABASE "orthanc" OWNER TO "orthanc"', 'SELECT ''changed: owner of database orthanc''' WHERE NOT (EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = 'orthanc' AND rolname = 'orthanc')) \gexec
SELECT 'REVOKE ALL ON DATABASE "orthanc" FROM PUBLIC', 'SELECT ''changed: database orthanc closed to the public''' WHERE NOT (NOT has_database_privilege('public', 'orthanc', 'CONNECT, TEMPORARY')) \gexec
SELECT 'GRANT CONNECT ON DATABASE "orthanc" TO "hactl_monitor"', 'SELECT ''changed: database orthanc open to hactl_monitor''' WHERE NOT (has_database_privilege('hactl_monitor', 'orthanc', 'CONNECT')) \gexec
SELECT 'CREATE DATABASE "hactl" OWNER "hactl_probe"', 'SELECT ''changed: database hactl''' WHERE NOT (EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = 'hactl')) \gexec
SELECT 'ALTER DATABASE "hactl" OWNER TO "hactl_probe"', 'SELECT ''changed: owner of database hactl''' WHERE NOT (EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = 'hactl' AND rolname = 'hactl_probe')) \gexec
SELECT 'REVOKE ALL ON DATABASE "hactl" FROM PUBLIC', 'SELECT ''changed: database hactl closed to the public''' WHERE NOT (NOT has_database_privilege('public', 'hactl', 'CONNECT, TEMPORARY')) \gexec
SELECT 'GRANT CONNECT ON DATABASE "hactl" TO "hactl_monitor"', 'SELECT ''changed: database hactl open to hactl_monitor''' WHERE NOT (has_database_privilege('hactl_monitor', 'hactl', 'CONNECT')) \gexec
SELECT 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO "rewind"', 'SELECT ''changed: role rewind may call pg_catalog.pg_ls_dir(text, boolean, boolean)''' WHERE NOT (has_function_privilege('rewind', 'pg_catalog.pg_ls_dir(text, boolean, boolean)', 'EXECUTE')) \gexec
SELECT 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO "rewind"', 'SELECT ''changed: role rewind may call pg_catalog.pg_stat_file(text, boolean)''' WHERE NOT (has_function_privilege('rewind', 'pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')) \gexec
SELECT 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO "rewind"', 'SELECT ''changed: role rewind may call pg_catalog.pg_read_binary_file(text)''' WHERE NOT (has_function_privilege('rewind', 'pg_catalog.pg_read_binary_file(text)', 'EXECUTE')) \gexec
SELECT 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO "rewind"', 'SELECT ''changed: role rewind may call pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)''' WHERE NOT (has_function_privilege('rewind', 'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')) \gexec

\connect "orthanc"
-- Passwords, even as verifiers, do not belong into the server's log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SELECT 'REVOKE CREATE ON SCHEMA public FROM PUBLIC', 'SELECT ''changed: schema public closed to the public''' WHERE NOT (NOT has_schema_privilege('public', 'public', 'CREATE')) \gexec

\connect "hactl"
-- Passwords, even as verifiers, do not belong into the server's log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SELECT 'REVOKE CREATE ON SCHEMA public FROM PUBLIC', 'SELECT ''changed: schema public closed to the public''' WHERE NOT (NOT has_schema_privilege('public', 'public', 'CREATE')) \gexec
SELECT 'SET ROLE "hactl_probe"; CREATE TABLE public.heartbeat (id integer PRIMARY KEY, at timestamptz NOT NULL, by text NOT NULL); RESET ROLE', 'SELECT ''changed: table heartbeat''' WHERE NOT (to_regclass('public.heartbeat') IS NOT NULL) \gexec

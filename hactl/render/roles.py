"""The SQL file that makes roles, databases and grants what they should be; it says each change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hactl import layout
from hactl.render.engine import Quoted, sql_literal, sql_name, text
from hactl.render.secrets import RenderSecrets
from hactl.spec.model import ClusterSpec

# What pg_rewind reads through the source server: the PostgreSQL 15 manual, pg_rewind, "Notes".
_REWIND_FUNCTIONS = (
    "pg_catalog.pg_ls_dir(text, boolean, boolean)",
    "pg_catalog.pg_stat_file(text, boolean)",
    "pg_catalog.pg_read_binary_file(text)",
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
)


@dataclass(frozen=True)
class Step:
    """`statement` runs unless `done` holds; `what` is said then."""

    what: str
    statement: Quoted
    done: Quoted

    @property
    def note(self) -> Quoted:
        return Quoted("SELECT " + sql_literal(f"changed: {self.what}"))


def roles_sql(spec: ClusterSpec, secrets: RenderSecrets) -> str:
    """The file for psql; it connects to each database by itself, over the socket it was started with."""
    sections = {
        "postgres": [*_roles(spec, secrets), *_databases(spec), *_rewind()],
        spec.database.name: [_closed_public()],
        layout.DATABASE_HACTL: [_closed_public(), _heartbeat()],
    }
    return text("postgres/roles.sql.j2", sections=sections)


def _roles(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[Step]:
    app = spec.database.name
    names = (layout.ROLE_REPLICATOR, layout.ROLE_REWIND, app, layout.ROLE_MONITOR, layout.ROLE_PROBE)
    for role in names:
        yield _exists(role)
        yield _attributes(role, replication=role == layout.ROLE_REPLICATOR)
        yield _password(role, secrets.scram[role])
    for role in (app, layout.ROLE_PROBE):
        yield _durable(role)
        yield _durable_everywhere(role)
    yield Step(
        f"role {layout.ROLE_MONITOR} reads statistics",
        Quoted(f"GRANT pg_monitor TO {sql_name(layout.ROLE_MONITOR)}"),
        Quoted(f"pg_has_role({sql_literal(layout.ROLE_MONITOR)}, 'pg_monitor', 'MEMBER')"),
    )
    yield Step(
        f"role {layout.ROLE_MONITOR} may checkpoint",  # before a switchover
        Quoted(f"GRANT pg_checkpoint TO {sql_name(layout.ROLE_MONITOR)}"),
        Quoted(f"pg_has_role({sql_literal(layout.ROLE_MONITOR)}, 'pg_checkpoint', 'MEMBER')"),
    )


def _exists(role: str) -> Step:
    done = f"EXISTS (SELECT FROM pg_roles WHERE rolname = {sql_literal(role)})"
    return Step(f"role {role}", Quoted(f"CREATE ROLE {sql_name(role)} LOGIN"), Quoted(done))


def _attributes(role: str, *, replication: bool) -> Step:
    flag = "REPLICATION" if replication else "NOREPLICATION"
    wanted = f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS {flag}"
    done = (
        f"EXISTS (SELECT FROM pg_roles WHERE rolname = {sql_literal(role)} AND rolcanlogin AND NOT rolsuper"
        " AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls"
        f" AND rolreplication = {str(replication).lower()})"
    )
    return Step(f"attributes of role {role}", Quoted(f"ALTER ROLE {sql_name(role)} {wanted}"), Quoted(done))


def _password(role: str, verifier: str) -> Step:
    statement = f"ALTER ROLE {sql_name(role)} PASSWORD {sql_literal(verifier)}"
    same = f"rolname = {sql_literal(role)} AND rolpassword = {sql_literal(verifier)}"
    done = f"EXISTS (SELECT FROM pg_authid WHERE {same})"
    return Step(f"password of role {role}", Quoted(statement), Quoted(done))


def _durable(role: str) -> Step:
    """A commit that the standby has not got would be lost with the primary."""
    done = (
        "EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        f" WHERE s.setdatabase = 0 AND r.rolname = {sql_literal(role)}"
        " AND 'synchronous_commit=on' = ANY (s.setconfig))"
    )
    statement = f"ALTER ROLE {sql_name(role)} SET synchronous_commit = 'on'"
    return Step(f"role {role} commits synchronously", Quoted(statement), Quoted(done))


def _durable_everywhere(role: str) -> Step:
    """A setting for one database, which a role may make for itself, would win over the one for all."""
    found = (
        "FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        f" JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = {sql_literal(role)} AND EXISTS"
        " (SELECT FROM unnest(s.setconfig) c WHERE split_part(c, '=', 1) = 'synchronous_commit')"
    )
    reset = "format('ALTER ROLE %I IN DATABASE %I RESET synchronous_commit', rolname, datname)"
    loop = f"FOR reset IN SELECT {reset} {found} LOOP EXECUTE reset; END LOOP"
    statement = f"DO {sql_literal(f'DECLARE reset text; BEGIN {loop}; END')}"
    what = f"role {role} commits synchronously in each database"
    return Step(what, Quoted(statement), Quoted(f"NOT EXISTS (SELECT {found})"))


def _databases(spec: ClusterSpec) -> Iterator[Step]:
    owners = {spec.database.name: spec.database.name, layout.DATABASE_HACTL: layout.ROLE_PROBE}
    monitor = sql_literal(layout.ROLE_MONITOR)
    for database, owner in owners.items():
        known = (
            "SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba"
            f" WHERE datname = {sql_literal(database)}"
        )
        create = f"CREATE DATABASE {sql_name(database)} OWNER {sql_name(owner)}"
        yield Step(f"database {database}", Quoted(create), Quoted(f"EXISTS ({known})"))
        yield Step(
            f"owner of database {database}",
            Quoted(f"ALTER DATABASE {sql_name(database)} OWNER TO {sql_name(owner)}"),
            Quoted(f"EXISTS ({known} AND rolname = {sql_literal(owner)})"),
        )
        yield Step(
            f"database {database} closed to the public",
            Quoted(f"REVOKE ALL ON DATABASE {sql_name(database)} FROM PUBLIC"),
            Quoted(f"NOT has_database_privilege('public', {sql_literal(database)}, 'CONNECT, TEMPORARY')"),
        )
        yield Step(
            f"database {database} open to {layout.ROLE_MONITOR}",
            Quoted(f"GRANT CONNECT ON DATABASE {sql_name(database)} TO {sql_name(layout.ROLE_MONITOR)}"),
            Quoted(f"has_database_privilege({monitor}, {sql_literal(database)}, 'CONNECT')"),
        )


def _rewind() -> Iterator[Step]:
    role = layout.ROLE_REWIND
    for function in _REWIND_FUNCTIONS:
        yield Step(
            f"role {role} may call {function}",
            Quoted(f"GRANT EXECUTE ON FUNCTION {function} TO {sql_name(role)}"),
            Quoted(f"has_function_privilege({sql_literal(role)}, {sql_literal(function)}, 'EXECUTE')"),
        )


def _closed_public() -> Step:
    return Step(
        "schema public closed to the public",
        Quoted("REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        Quoted("NOT has_schema_privilege('public', 'public', 'CREATE')"),
    )


def _heartbeat() -> Step:
    """One row, written through the VIP by hactl: proof that a commit by a new connection works."""
    statement = (
        f"SET ROLE {sql_name(layout.ROLE_PROBE)};"
        " CREATE TABLE public.heartbeat (id integer PRIMARY KEY, at timestamptz NOT NULL, by text NOT NULL);"
        " RESET ROLE"
    )
    return Step("table heartbeat", Quoted(statement), Quoted("to_regclass('public.heartbeat') IS NOT NULL"))

-- One of every kind of object that a PostgreSQL server knows, for 13 to 18. Run by psql (postgresql_everything.py)
-- in a fresh database, as a superuser, with the variables v (major version), tablespace (a name, may be empty),
-- rows (how many rows the big table gets), and one has_<extension> for each extension that may be missing.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET check_function_bodies = on;
SELECT :v >= 14 AS v14, :v >= 15 AS v15, :v >= 16 AS v16, :v >= 17 AS v17, :v >= 18 AS v18 \gset

-- Schemas, one of them with a name that breaks careless quoting ------------------------------------------------
CREATE SCHEMA app AUTHORIZATION everything_owner;
CREATE SCHEMA "Mixed Case" AUTHORIZATION "Everything Mixed";
CREATE SCHEMA U&"quote\0022 back\005cslash new\000aline \00fc \4e2d" AUTHORIZATION everything_owner;
CREATE SCHEMA "sixty_three_bytes_of_a_name_sixty_three_bytes_of_a_name_sixty_t";
COMMENT ON SCHEMA app IS E'the application\'s own schema\nwith a second line';
COMMENT ON SCHEMA public IS 'a comment that is not the standard one';
GRANT USAGE ON SCHEMA app TO everything_reader;
GRANT USAGE, CREATE ON SCHEMA app TO "Everything ""Hostile"" 'role' ;--" WITH GRANT OPTION;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO everything_owner;

-- Extensions ---------------------------------------------------------------------------------------------------
CREATE SCHEMA extensions;
\if :has_hstore
CREATE EXTENSION hstore SCHEMA extensions;
COMMENT ON EXTENSION hstore IS 'a comment of our own on hstore';
\endif
\if :has_citext
CREATE EXTENSION citext SCHEMA extensions;
\endif
\if :has_btree_gist
CREATE EXTENSION btree_gist SCHEMA extensions;
\endif
\if :has_configured
-- Has a configuration table whose marked rows belong into a dump; made by the loader in the server's own folder.
CREATE EXTENSION holdfast_configured SCHEMA extensions;
INSERT INTO extensions.configured VALUES ('colour', 'green', true), ('depth', '7', true);
\endif

SET ROLE everything_owner;
SET search_path = app, extensions, pg_catalog;

-- Types --------------------------------------------------------------------------------------------------------
CREATE TYPE mood AS ENUM ('sad', 'o''k', 'happy');
ALTER TYPE mood ADD VALUE 'almost happy' BEFORE 'happy';
CREATE TYPE pair AS (left_part integer, "Right Part" text COLLATE "C");
CREATE DOMAIN positive AS integer DEFAULT 1 CONSTRAINT above_zero CHECK (VALUE > 0) NOT NULL;
CREATE DOMAIN postcode AS varchar(7) CONSTRAINT shape CHECK (VALUE ~ '^[0-9]{4} ?[A-Z]{2}$');
ALTER DOMAIN postcode ADD CONSTRAINT not_validated CHECK (VALUE <> '0000 AA') NOT VALID;
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
\if :v14
CREATE TYPE moods AS RANGE (subtype = mood, multirange_type_name = many_moods);
CREATE TABLE ranges (r float_range, m float_multirange, d many_moods);
INSERT INTO ranges VALUES ('[1,2)', '{[1,2),[5,6]}', '{[sad,happy]}');
\else
CREATE TYPE moods AS RANGE (subtype = mood);
CREATE TABLE ranges (r float_range, d moods);
INSERT INTO ranges VALUES ('[1,2)', '[sad,happy]');
\endif
COMMENT ON TYPE mood IS 'how it goes';
COMMENT ON DOMAIN positive IS 'more than nothing';
COMMENT ON CONSTRAINT above_zero ON DOMAIN positive IS 'why it is above';
COMMENT ON COLUMN pair."Right Part" IS 'the right part';
GRANT USAGE ON TYPE mood TO everything_reader;
REVOKE USAGE ON TYPE pair FROM PUBLIC;

RESET ROLE;
CREATE TYPE app.base;
CREATE FUNCTION app.base_in(cstring) RETURNS app.base LANGUAGE internal STRICT IMMUTABLE AS 'int4in';
CREATE FUNCTION app.base_out(app.base) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'int4out';
CREATE TYPE app.base (INPUT = app.base_in, OUTPUT = app.base_out, INTERNALLENGTH = 4, PASSEDBYVALUE, ALIGNMENT = int4);
CREATE TYPE app.never_finished;
CREATE TABLE app.with_base (id integer PRIMARY KEY, value app.base);
INSERT INTO app.with_base VALUES (1, '17'), (2, NULL);
CREATE FUNCTION app.base_less(app.base, app.base) RETURNS boolean LANGUAGE internal STRICT IMMUTABLE AS 'int4lt';
CREATE FUNCTION app.base_equal(app.base, app.base) RETURNS boolean LANGUAGE internal STRICT IMMUTABLE AS 'int4eq';
CREATE FUNCTION app.base_compare(app.base, app.base) RETURNS integer LANGUAGE internal STRICT IMMUTABLE AS 'btint4cmp';
CREATE OPERATOR app.<<< (LEFTARG = app.base, RIGHTARG = app.base, FUNCTION = app.base_less, COMMUTATOR = OPERATOR(app.>>>), RESTRICT = scalarltsel);
CREATE FUNCTION app.base_more(app.base, app.base) RETURNS boolean LANGUAGE internal STRICT IMMUTABLE AS 'int4gt';
CREATE OPERATOR app.>>> (LEFTARG = app.base, RIGHTARG = app.base, FUNCTION = app.base_more, COMMUTATOR = OPERATOR(app.<<<));
CREATE OPERATOR app.=== (LEFTARG = app.base, RIGHTARG = app.base, FUNCTION = app.base_equal, COMMUTATOR = OPERATOR(app.===), MERGES, HASHES);
COMMENT ON OPERATOR app.<<< (app.base, app.base) IS 'less, by our own sign';
ALTER OPERATOR app.=== (app.base, app.base) OWNER TO everything_owner;
CREATE OPERATOR FAMILY app.base_family USING btree;
CREATE OPERATOR CLASS app.base_class DEFAULT FOR TYPE app.base USING btree FAMILY app.base_family AS
  OPERATOR 1 app.<<<, OPERATOR 3 app.===, OPERATOR 5 app.>>>, FUNCTION 1 app.base_compare(app.base, app.base);
COMMENT ON OPERATOR CLASS app.base_class USING btree IS 'an operator class';
COMMENT ON OPERATOR FAMILY app.base_family USING btree IS 'an operator family';
CREATE INDEX with_base_value ON app.with_base (value);
CREATE CAST (app.base AS integer) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (integer AS app.base) WITHOUT FUNCTION;
CREATE CAST (app.mood AS integer) WITH INOUT;
COMMENT ON CAST (app.base AS integer) IS 'the same bits';
CREATE ACCESS METHOD everything_heap TYPE TABLE HANDLER heap_tableam_handler;
COMMENT ON ACCESS METHOD everything_heap IS 'heap by another name';
CREATE TABLE app.other_method (a integer) USING everything_heap;
INSERT INTO app.other_method VALUES (1), (2);

-- Collations, conversions, text search --------------------------------------------------------------------------
SET ROLE everything_owner;
\if :has_icu
CREATE COLLATION regardless_of_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE collated (id integer PRIMARY KEY, word text COLLATE regardless_of_case UNIQUE);
INSERT INTO collated VALUES (1, 'Straße'), (2, 'other');
COMMENT ON COLLATION regardless_of_case IS 'upper is lower';
\endif
\if :v16
\if :has_icu
CREATE COLLATION ruled (provider = icu, locale = 'und', rules = '&a < g');
\endif
\endif
\if :v17
CREATE COLLATION built_in (provider = builtin, locale = 'C.UTF-8');
\endif
CREATE COLLATION plain_c (provider = libc, locale = 'C');
CREATE DEFAULT CONVERSION latin_to_utf FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
COMMENT ON CONVERSION latin_to_utf IS 'a conversion';
CREATE TEXT SEARCH DICTIONARY dutch_stop (TEMPLATE = pg_catalog.simple, Accept = false);
CREATE TEXT SEARCH CONFIGURATION our_search (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION our_search ALTER MAPPING FOR word WITH dutch_stop, simple;
COMMENT ON TEXT SEARCH CONFIGURATION our_search IS 'how we search';
COMMENT ON TEXT SEARCH DICTIONARY dutch_stop IS 'what we leave out';
RESET ROLE;
CREATE TEXT SEARCH PARSER app.our_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE app.our_template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
COMMENT ON TEXT SEARCH PARSER app.our_parser IS 'a parser';
COMMENT ON TEXT SEARCH TEMPLATE app.our_template IS 'a template';

-- Functions, procedures, aggregates ----------------------------------------------------------------------------
SET ROLE everything_owner;
CREATE FUNCTION doubled(n integer, factor integer DEFAULT 2) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7 AS 'SELECT $1 * $2';
CREATE FUNCTION secret_of(who text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp SET work_mem = '5MB' AS $body$
BEGIN
  RETURN 'a $$ and '' in ' || who; -- comment "inside"
END
$body$;
CREATE FUNCTION rows_of(n integer) RETURNS TABLE (a integer, b text) LANGUAGE sql ROWS 5 AS $$ SELECT i, i::text FROM generate_series(1, n) AS i $$;
CREATE FUNCTION many(VARIADIC parts text[]) RETURNS text LANGUAGE sql AS $$ SELECT array_to_string(parts, '-') $$;
CREATE FUNCTION window_like() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := NEW.changed + 1; RETURN NEW; END $$;
CREATE PROCEDURE do_it(INOUT n integer) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CREATE FUNCTION add_up(state integer, next integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT coalesce(state, 0) + coalesce(next, 0)';
CREATE AGGREGATE total(integer) (SFUNC = add_up, STYPE = integer, INITCOND = '0', COMBINEFUNC = add_up, PARALLEL = SAFE);
\if :v14
CREATE FUNCTION modern(n integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT doubled(n) + 1; END;
CREATE PROCEDURE with_out(IN n integer, OUT m integer) LANGUAGE plpgsql AS $$ BEGIN m := n; END $$;
\endif
COMMENT ON FUNCTION doubled(integer, integer) IS 'twice, or more';
COMMENT ON PROCEDURE do_it(integer) IS 'do it';
COMMENT ON AGGREGATE total(integer) IS 'all together';
REVOKE EXECUTE ON FUNCTION secret_of(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION secret_of(text) TO everything_reader WITH GRANT OPTION;
GRANT EXECUTE ON PROCEDURE do_it(integer) TO "Everything Mixed";
RESET ROLE;
CREATE AGGREGATE app.middle(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE FUNCTION app.sealed(text) RETURNS boolean LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT $1 IS NOT NULL';
CREATE FUNCTION app.compiled(float8) RETURNS float8 LANGUAGE internal STRICT IMMUTABLE AS 'dsqrt';
CREATE FUNCTION app.from_sql(internal) RETURNS internal LANGUAGE internal STRICT IMMUTABLE AS 'prsd_lextype';
CREATE TRANSFORM FOR app.pair LANGUAGE plpgsql (FROM SQL WITH FUNCTION app.from_sql(internal));
COMMENT ON TRANSFORM FOR app.pair LANGUAGE plpgsql IS 'never used';
CREATE FUNCTION app.handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION app.inline_handler(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION app.validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE everything_language HANDLER app.handler INLINE app.inline_handler VALIDATOR app.validator;
ALTER LANGUAGE everything_language OWNER TO everything_owner;
COMMENT ON LANGUAGE everything_language IS 'plpgsql by another name';
GRANT USAGE ON LANGUAGE everything_language TO everything_reader;
CREATE FUNCTION app.in_other_language() RETURNS integer LANGUAGE everything_language AS $$ BEGIN RETURN 1; END $$;

-- Sequences ----------------------------------------------------------------------------------------------------
SET ROLE everything_owner;
CREATE SEQUENCE small_numbers AS smallint INCREMENT -3 MINVALUE -300 MAXVALUE 300 START 12 CYCLE CACHE 4;
CREATE SEQUENCE whole_numbers AS integer START 5;
CREATE SEQUENCE large_numbers AS bigint START 9007199254740993;
CREATE SEQUENCE never_called START 77;
SELECT nextval('small_numbers'), nextval('whole_numbers'), nextval('large_numbers'), setval('whole_numbers', 41, false) \g /dev/null
COMMENT ON SEQUENCE small_numbers IS 'counts down';
GRANT USAGE ON SEQUENCE small_numbers TO everything_reader;

-- Tables -------------------------------------------------------------------------------------------------------
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 10) PRIMARY KEY,
  email text NOT NULL CONSTRAINT customers_email_unique UNIQUE,
  "Full Name" varchar(80) COLLATE "C" DEFAULT 'nobody',
  dropped_first integer,
  feeling mood DEFAULT 'o''k',
  place postcode,
  kind varchar(10) CHECK (kind IN ('private', 'company')),
  parts pair,
  list integer[] DEFAULT '{1,2}',
  born date, seen timestamptz DEFAULT now(), money numeric(12, 2), raw bytea, document jsonb, marked xml, address inet,
  bits bit varying(9), span interval, point_at point, uid uuid DEFAULT gen_random_uuid(), search tsvector,
  changed integer DEFAULT 0 NOT NULL,
  lower_email text GENERATED ALWAYS AS (lower(email)) STORED,
  dropped_last text
) WITH (fillfactor = 70, autovacuum_enabled = false);
ALTER TABLE customers DROP COLUMN dropped_first, DROP COLUMN dropped_last;
ALTER TABLE customers ADD COLUMN added_later integer DEFAULT 42;
ALTER TABLE customers ALTER COLUMN document SET STORAGE EXTERNAL, ALTER COLUMN email SET STATISTICS 250, ALTER COLUMN email SET (n_distinct = -0.5);
INSERT INTO customers (email, "Full Name", feeling, place, kind, parts, born, seen, money, raw, document, address, bits, span, point_at, uid, search)
SELECT 'User' || i || '@example.org', E'n\tame \\ ' || i, 'happy', '1234 AB', 'private', ROW(i, 'x"y')::pair, date '2000-01-01' + i,
       timestamptz '2026-01-01 00:00:00.123456+02' + i * interval '1 hour', i * 1.25, decode(lpad(to_hex(i), 8, '0'), 'hex'),
       jsonb_build_object('n', i, 'quote', E'"\n'), ('10.0.0.' || i % 250)::inet, B'101', i * interval '1 day 2 s', point(i, -i),
       '00000000-0000-0000-0000-000000000001', to_tsvector('simple', 'word' || i)
FROM generate_series(1, 50) AS i;
INSERT INTO customers (email, money, born, seen) VALUES ('edge@example.org', 'NaN', '-infinity', 'infinity'), (E'zwölf\n中文\\N', NULL, '0044-03-15 BC', '0044-03-15 12:00 BC');
CREATE TABLE orders (
  id serial PRIMARY KEY,
  customer bigint REFERENCES customers ON DELETE CASCADE ON UPDATE RESTRICT DEFERRABLE INITIALLY DEFERRED,
  amount positive,
  note text,
  during tstzrange,
  CONSTRAINT amount_not_checked CHECK (amount < 1000000) NO INHERIT,
  CONSTRAINT unique_later UNIQUE (note) DEFERRABLE
);
INSERT INTO orders (customer, amount, note, during)
SELECT 1000 + (i % 50) * 10, 1 + i % 9, 'note ' || i, tstzrange(timestamptz '2026-01-01' + i * interval '1 h', timestamptz '2026-01-01' + i * interval '1 h' + interval '30 min')
FROM generate_series(1, :rows) AS i;
ALTER TABLE orders ADD CONSTRAINT fk_not_valid FOREIGN KEY (id) REFERENCES orders NOT VALID;
ALTER TABLE orders ADD CONSTRAINT check_not_valid CHECK (note <> 'note 1') NOT VALID;
\if :has_btree_gist
ALTER TABLE orders ADD CONSTRAINT no_overlap EXCLUDE USING gist (customer WITH =, during WITH &&) WHERE (amount > 5) DEFERRABLE;
\endif
CREATE INDEX orders_partial ON orders (amount) INCLUDE (note) WHERE amount > 3;
CREATE UNIQUE INDEX orders_expression ON orders (lower(note), (id % 7) DESC NULLS LAST) WITH (fillfactor = 60);
CREATE INDEX orders_brin ON orders USING brin (id) WITH (pages_per_range = 32);
CREATE INDEX orders_hash ON orders USING hash (note);
CREATE INDEX customers_gin ON customers USING gin (document jsonb_path_ops);
CREATE INDEX customers_pattern ON customers (email text_pattern_ops, "Full Name" COLLATE "C");
ALTER INDEX orders_expression ALTER COLUMN 1 SET STATISTICS 55;
ALTER TABLE orders CLUSTER ON orders_pkey;
CREATE TABLE replicated (id integer NOT NULL, other integer);
CREATE UNIQUE INDEX replicated_by ON replicated (id);
ALTER TABLE replicated REPLICA IDENTITY USING INDEX replicated_by;
CREATE TABLE replicated_full (id integer);
ALTER TABLE replicated_full REPLICA IDENTITY FULL;
-- pg_dump 15 and newer describe the sequence of such a table in words that servers before 15 do not know.
\if :v15
CREATE UNLOGGED TABLE not_logged (id integer GENERATED BY DEFAULT AS IDENTITY, what text);
\else
CREATE UNLOGGED TABLE not_logged (id integer DEFAULT 1, what text);
\endif
INSERT INTO not_logged (what) VALUES ('kept by a dump'), ('too');
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE empty_table (a integer);
CREATE TYPE row_shape AS (x integer, y text);
CREATE TABLE typed OF row_shape (x PRIMARY KEY, y WITH OPTIONS DEFAULT 'y');
INSERT INTO typed VALUES (1);
\if :v15
CREATE TABLE nulls_equal (a integer, UNIQUE NULLS NOT DISTINCT (a));
\endif
\if :v18
CREATE TABLE virtual (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL);
INSERT INTO virtual VALUES (3);
CREATE TABLE not_enforced (a integer CONSTRAINT loose CHECK (a > 0) NOT ENFORCED);
INSERT INTO not_enforced VALUES (-1);
CREATE TABLE null_later (a integer);
INSERT INTO null_later VALUES (NULL);
ALTER TABLE null_later ADD CONSTRAINT no_null NOT NULL a NOT VALID;
CREATE TABLE never_null (a integer CONSTRAINT named_not_null NOT NULL, b integer CONSTRAINT here_alone NOT NULL NO INHERIT);
CREATE TABLE never_null_child () INHERITS (never_null);
COMMENT ON CONSTRAINT named_not_null ON never_null IS 'why it is never null';
CREATE TABLE points_loosely (a integer REFERENCES orders NOT ENFORCED);
INSERT INTO points_loosely VALUES (-1);
\if :has_btree_gist
CREATE TABLE rooms (id integer, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
CREATE TABLE bookings (room integer, during daterange, FOREIGN KEY (room, PERIOD during) REFERENCES rooms (id, PERIOD during));
INSERT INTO rooms VALUES (1, '[2026-01-01,2026-02-01)'), (1, '[2026-02-01,2026-03-01)');
INSERT INTO bookings VALUES (1, '[2026-01-20,2026-02-10)');
\endif
\endif
COMMENT ON TABLE customers IS E'people\n\\! not a command';
COMMENT ON COLUMN customers."Full Name" IS 'first and last';
COMMENT ON CONSTRAINT customers_email_unique ON customers IS 'one account an address';
COMMENT ON INDEX orders_partial IS 'the larger ones';
GRANT SELECT, INSERT ON customers TO everything_reader;
GRANT UPDATE ("Full Name", place), SELECT (email) ON customers TO "Everything ""Hostile"" 'role' ;--" WITH GRANT OPTION;
REVOKE DELETE ON orders FROM everything_owner;
GRANT ALL ON orders TO "Everything Mixed";
GRANT SELECT ON orders TO PUBLIC;
\if :v17
GRANT MAINTAIN ON customers TO everything_reader;
\endif

-- Partitions ---------------------------------------------------------------------------------------------------
CREATE TABLE measured (at date NOT NULL, region text NOT NULL, n integer, extra text DEFAULT 'none') PARTITION BY RANGE (at);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (region);
CREATE TABLE measured_2025_eu PARTITION OF measured_2025 FOR VALUES IN ('nl', 'de', E'quote\'') PARTITION BY HASH (n);
CREATE TABLE measured_2025_eu_0 PARTITION OF measured_2025_eu FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE measured_2025_eu_1 PARTITION OF measured_2025_eu FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE measured_2025_rest PARTITION OF measured_2025 DEFAULT;
-- Attached with its columns in another order and a default of its own.
CREATE TABLE measured_2026 (extra text DEFAULT 'own', gone integer, n integer, region text NOT NULL, at date NOT NULL);
ALTER TABLE measured_2026 DROP COLUMN gone;
ALTER TABLE measured ATTACH PARTITION measured_2026 FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE TABLE measured_before PARTITION OF measured DEFAULT;
CREATE INDEX measured_by_n ON measured (n, at);
ALTER TABLE measured ADD PRIMARY KEY (at, region, n);
ALTER TABLE measured_2026 ALTER COLUMN extra SET DEFAULT 'changed';
INSERT INTO measured SELECT date '2024-06-01' + i * 3, (ARRAY['nl', 'de', 'us', E'quote\''])[1 + i % 4], i FROM generate_series(1, 300) AS i;
COMMENT ON TABLE measured_2025_eu IS 'a partition of a partition';
GRANT SELECT ON measured_2026 TO everything_reader;

-- Inheritance --------------------------------------------------------------------------------------------------
CREATE TABLE animals (id integer, name text DEFAULT 'none', legs integer CHECK (legs >= 0));
CREATE TABLE can_fly (wings integer);
CREATE TABLE birds (song text) INHERITS (animals, can_fly);
CREATE TABLE fishes (scales integer, legs integer CHECK (legs >= 0), name text DEFAULT 'fish', id integer);
ALTER TABLE fishes ADD CONSTRAINT animals_legs_check CHECK (legs >= 0);
ALTER TABLE fishes INHERIT animals;
ALTER TABLE birds ALTER COLUMN name SET DEFAULT 'bird';
ALTER TABLE animals ADD COLUMN late text DEFAULT 'late';
INSERT INTO animals VALUES (1, 'cat', 4);
INSERT INTO birds VALUES (2, 'wren', 2, 2, 'tik', 'l');
INSERT INTO fishes (id, scales) VALUES (3, 900);

-- Views, rules, triggers, policies, statistics -----------------------------------------------------------------
CREATE VIEW happy AS SELECT id, email, kind FROM customers WHERE feeling IN ('happy', 'almost happy') WITH LOCAL CHECK OPTION;
ALTER VIEW happy SET (security_barrier = true);
ALTER VIEW happy ALTER COLUMN kind SET DEFAULT 'company';
CREATE RECURSIVE VIEW counted (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counted WHERE n < 5;
CREATE VIEW circle_a AS SELECT 1 AS a;
CREATE VIEW circle_b AS SELECT a FROM circle_a;
CREATE OR REPLACE VIEW circle_a AS SELECT 1 AS a WHERE 1 IN (SELECT 1);
CREATE MATERIALIZED VIEW per_customer AS SELECT customer, sum(amount) AS total, total(amount::integer) AS ours FROM orders GROUP BY customer;
CREATE UNIQUE INDEX per_customer_by ON per_customer (customer);
CREATE MATERIALIZED VIEW not_populated AS SELECT * FROM per_customer WITH NO DATA;
CREATE MATERIALIZED VIEW on_view AS SELECT count(*) AS n FROM counted;
COMMENT ON VIEW happy IS 'the happy ones';
COMMENT ON MATERIALIZED VIEW per_customer IS 'sums';
GRANT SELECT (id), UPDATE (kind) ON happy TO everything_reader;
CREATE RULE log_delete AS ON DELETE TO orders WHERE OLD.amount > 100 DO ALSO INSERT INTO empty_table VALUES (OLD.id);
CREATE RULE nothing AS ON INSERT TO empty_table DO INSTEAD NOTHING;
ALTER TABLE empty_table DISABLE RULE nothing;
COMMENT ON RULE log_delete ON orders IS 'keep what was large';
CREATE TRIGGER "Count Changes" BEFORE UPDATE OF email ON customers FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION window_like();
CREATE TRIGGER only_replica BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION window_like();
ALTER TABLE customers ENABLE REPLICA TRIGGER only_replica;
CREATE TRIGGER switched_off BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION window_like();
ALTER TABLE customers DISABLE TRIGGER switched_off;
CREATE FUNCTION said() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION said();
CREATE TRIGGER whole_statement AFTER UPDATE ON orders REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION said();
CREATE TRIGGER on_partitions AFTER INSERT ON measured FOR EACH ROW EXECUTE FUNCTION said();
ALTER TABLE measured_2026 DISABLE TRIGGER on_partitions;
COMMENT ON TRIGGER "Count Changes" ON customers IS 'how often';
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE empty_table ENABLE ROW LEVEL SECURITY;
ALTER TABLE empty_table FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON customers AS PERMISSIVE FOR SELECT TO everything_reader, "Everything Mixed" USING (email = current_user);
CREATE POLICY "never the ""edge""" ON customers AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (true) WITH CHECK (email <> 'edge@example.org');
COMMENT ON POLICY own_rows ON customers IS 'to each their own';
CREATE STATISTICS orders_together (dependencies, ndistinct, mcv) ON customer, amount FROM orders;
ALTER STATISTICS orders_together SET STATISTICS 77;
COMMENT ON STATISTICS orders_together IS 'together';
\if :v14
CREATE STATISTICS orders_expressions ON (lower(note)), (amount % 3) FROM orders;
\endif

-- Names that break things --------------------------------------------------------------------------------------
CREATE TABLE U&"quote\0022 back\005cslash new\000aline \00fc \4e2d".U&"table \0022\000a; DROP TABLE app.orders; --" (
  U&"column \0022\000a'" integer PRIMARY KEY, "select" text, " leading" text, "%s %n {0}" text DEFAULT E'\\.');
INSERT INTO U&"quote\0022 back\005cslash new\000aline \00fc \4e2d".U&"table \0022\000a; DROP TABLE app.orders; --" VALUES (1, E'\\.\n\\.', E'\r\n', 'c'), (2, NULL, '', '\N');
CREATE TABLE "-leading dash" ("-c" integer);
INSERT INTO "-leading dash" VALUES (1), (2), (3);
CREATE TABLE "a.b" (c integer);
CREATE TABLE "TABLE DATA" (c integer);
CREATE INDEX U&"index \0022\000a" ON "a.b" (c);
CREATE TABLE "n234567890123456789012345678901234567890123456789012345678_63by" ("c234567890123456789012345678901234567890123456789012345678_63by" serial);
CREATE TABLE "übertrieben_ünicode_中文_🐘" (a integer);
INSERT INTO "übertrieben_ünicode_中文_🐘" VALUES (5);
COMMENT ON TABLE "übertrieben_ünicode_中文_🐘" IS '🐘';
RESET ROLE;
CREATE TABLE "Mixed Case"."Mixed Table" ("Id" integer PRIMARY KEY);
INSERT INTO "Mixed Case"."Mixed Table" VALUES (1);
ALTER TABLE "Mixed Case"."Mixed Table" OWNER TO "Everything ""Hostile"" 'role' ;--";
CREATE TABLE "sixty_three_bytes_of_a_name_sixty_three_bytes_of_a_name_sixty_t".t (a integer);
CREATE TABLE public.in_public (a integer);
INSERT INTO public.in_public VALUES (7);

-- Granted by somebody who is not the owner ---------------------------------------------------------------------
SET ROLE "Everything ""Hostile"" 'role' ;--";
GRANT USAGE ON SCHEMA app TO "Everything Mixed";
GRANT UPDATE (place) ON app.customers TO everything_reader;
RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE everything_owner IN SCHEMA app GRANT SELECT ON TABLES TO everything_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE everything_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE "Everything Mixed" GRANT USAGE ON SEQUENCES TO everything_reader WITH GRANT OPTION;

-- Large objects ------------------------------------------------------------------------------------------------
SELECT lo_from_bytea(7000001, decode(repeat('00ff5c0a27', 1000), 'hex')), lo_from_bytea(7000002, ''), lo_from_bytea(7000003, 'three') \g /dev/null
ALTER LARGE OBJECT 7000001 OWNER TO everything_owner;
ALTER LARGE OBJECT 7000003 OWNER TO "Everything ""Hostile"" 'role' ;--";
GRANT SELECT ON LARGE OBJECT 7000001 TO everything_reader;
GRANT UPDATE ON LARGE OBJECT 7000001 TO "Everything Mixed" WITH GRANT OPTION;
COMMENT ON LARGE OBJECT 7000001 IS 'it''s large';

-- Foreign data -------------------------------------------------------------------------------------------------
CREATE FOREIGN DATA WRAPPER everything_wrapper OPTIONS (debug 'true');
COMMENT ON FOREIGN DATA WRAPPER everything_wrapper IS 'a wrapper without a handler';
GRANT USAGE ON FOREIGN DATA WRAPPER everything_wrapper TO everything_owner;
CREATE SERVER everything_server TYPE 'kind' VERSION '1' FOREIGN DATA WRAPPER everything_wrapper OPTIONS (host 'nowhere');
ALTER SERVER everything_server OWNER TO everything_owner;
GRANT USAGE ON FOREIGN SERVER everything_server TO everything_reader WITH GRANT OPTION;
COMMENT ON SERVER everything_server IS 'a server';
CREATE USER MAPPING FOR everything_reader SERVER everything_server OPTIONS (who 'me', secret 'mapped secret');
CREATE USER MAPPING FOR PUBLIC SERVER everything_server OPTIONS (who 'all');
CREATE USER MAPPING FOR "Everything ""Hostile"" 'role' ;--" SERVER everything_server;
CREATE FOREIGN TABLE app.far_away (id integer OPTIONS (column_name 'ID') NOT NULL, t text) SERVER everything_server OPTIONS (place 'over there');
COMMENT ON FOREIGN TABLE app.far_away IS 'not here';
\if :has_file_fdw
CREATE EXTENSION file_fdw SCHEMA extensions;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE app.from_file (line text) SERVER files OPTIONS (filename '/etc/hostname', format 'text');
ALTER FOREIGN TABLE app.from_file OWNER TO everything_owner;
\endif
\if :has_postgres_fdw
CREATE EXTENSION postgres_fdw SCHEMA extensions;
CREATE SERVER other_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'nowhere');
CREATE USER MAPPING FOR everything_owner SERVER other_server OPTIONS (user 'somebody', password 'it''s "secret"');
CREATE FOREIGN TABLE app.elsewhere (a integer) SERVER other_server OPTIONS (schema_name 's', table_name 't');
\endif

-- Event triggers and publications ------------------------------------------------------------------------------
CREATE FUNCTION app.on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER after_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION app.on_event();
CREATE EVENT TRIGGER switched_off ON sql_drop EXECUTE FUNCTION app.on_event();
ALTER EVENT TRIGGER switched_off DISABLE;
COMMENT ON EVENT TRIGGER after_ddl IS 'after each';
\if :v17
CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION app.on_event();
\endif
CREATE PUBLICATION some_tables FOR TABLE app.orders, ONLY app.animals WITH (publish = 'insert, update');
CREATE PUBLICATION all_tables FOR ALL TABLES WITH (publish_via_partition_root = true);
ALTER PUBLICATION some_tables OWNER TO everything_super;
COMMENT ON PUBLICATION some_tables IS 'a few';
\if :v15
CREATE PUBLICATION filtered FOR TABLE app.replicated (id) WHERE (id > 0);
CREATE PUBLICATION of_a_schema FOR TABLES IN SCHEMA "Mixed Case";
\endif

-- A tablespace -------------------------------------------------------------------------------------------------
\if :has_tablespace
CREATE TABLE app.in_tablespace (a integer) TABLESPACE :"tablespace";
INSERT INTO app.in_tablespace SELECT generate_series(1, 10);
CREATE INDEX in_tablespace_a ON app.in_tablespace (a) TABLESPACE :"tablespace";
\endif

REFRESH MATERIALIZED VIEW app.per_customer;
ANALYZE;

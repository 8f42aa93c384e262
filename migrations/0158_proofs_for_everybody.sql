-- Whoever answers a customer or a third party can prove a payment, and reads nothing else of the audit log: of each row of that payment what
-- its leaf is made of, and the salts of that leaf alone. Hashes of leaves say nothing without them.

-- Where a round is many seals, the one that holds a row is found by what each begins with (0: entries, 1: records, as row_index has them).
alter table audit.seal add column first_table smallint, add column first_key text;

-- The first record of a log that follows another belongs to each of its proofs.
create function audit.records_to_prove(p_payment_id text) returns table (
  record_id text, occurred_at timestamptz, actor text, action text, subject text, interaction_id text, details jsonb, written_in bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from payments.payment p join audit.record r on r.subject in (p.payment_id, p.consent_id) where p.payment_id = p_payment_id
  union all
  select r.record_id, r.occurred_at, r.actor, r.action, r.subject, r.interaction_id, r.details, r.written_in
  from (select log from audit.seal order by log desc limit 1) s join audit.record r on r.written_in = -s.log where s.log > 1
$$;

create function ledger.entries_to_prove(p_payment_id text) returns table (
  entry_id text, kind text, currency text, description text, reference text, payment_id text, reverses text, hold_id text, booked_at timestamptz,
  value_date date, actor text, interaction_id text, written_in bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select e.entry_id, e.kind, e.currency, e.description, e.reference, e.payment_id, e.reverses, e.hold_id, e.booked_at, e.value_date, e.actor,
    e.interaction_id, e.written_in
  from payments.payment p join ledger.entry e on e.entry_id = p.entry_id where p.payment_id = p_payment_id
$$;

create function ledger.postings_to_prove(p_payment_id text) returns table (
  entry_id text, account_id text, posting_number bigint, currency text, amount_minor numeric, balance_minor numeric, counterparty_name text,
  counterparty_scheme_name text, counterparty_identification text, booked_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select l.entry_id, l.account_id, l.posting_number, l.currency, l.amount_minor, l.balance_minor, l.counterparty_name,
    l.counterparty_scheme_name, l.counterparty_identification, l.booked_at
  from payments.payment p join ledger.posting l on l.entry_id = p.entry_id where p.payment_id = p_payment_id
$$;

-- Which seal of the log of now may hold each of these rows, and the salts of its leaf, one after another: one for each posting in their order
-- and one for the entry, or one for the record (bank/audit/leaf.ts).
create function audit.seals_to_prove(p_payment_id text) returns table (
  row_key text, log integer, first_leaf bigint, leaf_hashes bytea, salts bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with asked as (
    select 1 as row_table, record_id as row_key, written_in, array[record_id] as contexts from audit.records_to_prove(p_payment_id)
    union all
    select 0, e.entry_id, e.written_in,
      (select array_agg(e.entry_id || '/' || n order by n) from generate_series(0, (select count(*) - 1 from ledger.postings_to_prove(p_payment_id))) n)
        || e.entry_id
    from ledger.entries_to_prove(p_payment_id) e)
  select a.row_key, found.log, found.first_leaf, found.leaf_hashes,
    (select string_agg(substr(sha256(found.salt || convert_to(context, 'UTF8')), 1, 16), '' order by n)
      from unnest(a.contexts) with ordinality c (context, n))
  from asked a
    cross join (select s.log from audit.seal s order by s.log desc limit 1) current
    cross join lateral (
      select s.before_xact from audit.seal s where s.log = current.log and s.before_xact > a.written_in order by s.before_xact limit 1) round
    cross join lateral (
      select s.log, s.first_leaf, s.leaf_hashes, s.salt from audit.seal s
      where s.log = current.log and s.before_xact = round.before_xact and s.from_xact <= a.written_in
        and (s.first_key is null or (s.first_table, s.first_key collate "C") <= (a.row_table, a.row_key collate "C"))
      order by s.first_leaf desc limit 1) found
$$;

-- For a customer who looks at what became of a consent of theirs.
create function payments.payment_made_under(p_consent_id text, p_customer_id text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select payment_id from payments.payment where consent_id = p_consent_id and customer_id = p_customer_id
$$;

revoke execute on function audit.records_to_prove, ledger.entries_to_prove, ledger.postings_to_prove, audit.seals_to_prove,
  payments.payment_made_under from public;
grant usage on schema audit to bankside_auth_server, bankside_resource_api;
grant usage on schema ledger to bankside_auth_server;
grant execute on function audit.records_to_prove, ledger.entries_to_prove, ledger.postings_to_prove, audit.seals_to_prove
  to bankside_auth_server, bankside_resource_api, bankside_sealer;
grant execute on function payments.payment_made_under to bankside_auth_server;
grant select (log, first_leaf, leaf_count, leaf_hashes) on audit.seal to bankside_auth_server, bankside_resource_api;
grant select on audit.tree_node, audit.checkpoint to bankside_auth_server, bankside_resource_api;

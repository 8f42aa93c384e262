-- A round that is too large for one seal may be sealed as far as the seal that is found, and no further yet: then a row that it does not hold is not
-- sealed yet, and nobody has changed it.
drop function audit.seals_to_prove;
create function audit.seals_to_prove(p_payment_id text) returns table (
  row_key text, log integer, first_leaf bigint, salts bytea, goes_on boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with asked as (
    select 1 as row_table, record_id as row_key, written_in, array[record_id] as contexts from audit.records_to_prove(p_payment_id)
    union all
    select 0, e.entry_id, e.written_in,
      (select array_agg(e.entry_id || '/' || n order by n) from generate_series(0, (select count(*) - 1 from ledger.postings_to_prove(p_payment_id))) n)
        || e.entry_id
    from ledger.entries_to_prove(p_payment_id) e)
  select a.row_key, found.log, found.first_leaf,
    (select string_agg(substr(sha256(found.salt || convert_to(context, 'UTF8')), 1, 16), '' order by n)
      from unnest(a.contexts) with ordinality c (context, n)),
    not found.ends_round and not exists (select from audit.seal later where later.log = found.log and later.first_leaf > found.first_leaf)
  from asked a
    cross join (select s.log from audit.seal s order by s.log desc limit 1) current
    cross join lateral (
      select s.before_xact from audit.seal s where s.log = current.log and s.before_xact > a.written_in order by s.before_xact limit 1) round
    cross join lateral (
      select s.log, s.first_leaf, s.salt, s.ends_round from audit.seal s
      where s.log = current.log and s.before_xact = round.before_xact and s.from_xact <= a.written_in
        and (s.first_key is null or (s.first_table, s.first_key collate "C") <= (a.row_table, a.row_key collate "C"))
      order by s.first_leaf desc limit 1) found
$$;
revoke execute on function audit.seals_to_prove from public;
grant execute on function audit.seals_to_prove to bankside_auth_server, bankside_resource_api, bankside_sealer;

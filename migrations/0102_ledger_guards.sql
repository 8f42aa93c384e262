-- What must be true of the books whoever writes, asked once for all rows of a statement: an entry and its postings are written
-- by one. The triggers of single rows, and the foreign keys of postings, cost more than all the rest of a transfer.
drop trigger entry_balances on ledger.posting;
drop trigger entry_has_two_postings on ledger.entry;
drop function ledger.entry_balances(), ledger.entry_has_two_postings();

create function ledger.posting_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong record;
  unbalanced record;
begin
  wrong := row(null::text, null::text);
  select n.entry_id, case
      when a.account_id is null then 'posting_currency_matches_account'
      when e.entry_id is null then 'posting_belongs_to_an_entry'
      else 'posting_agrees_with_its_account' end as problem
  into wrong
  from new_posting n
    left join ledger.account a on a.account_id = n.account_id and a.currency = n.currency
    left join ledger.entry e on e.entry_id = n.entry_id
  where a.account_id is null or e.entry_id is null or n.posting_number > a.posting_count
    or (n.posting_number = a.posting_count and n.balance_minor <> a.posted_minor)
    or n.posting_number <= a.posting_count - (select count(*) from new_posting)
  order by a.account_id is not null limit 1;
  if not found or wrong.problem = 'posting_agrees_with_its_account' then
    select entry_id, 'entry_balances' as problem into unbalanced from new_posting group by entry_id, currency having sum(amount_minor) <> 0 limit 1;
    if found then wrong := unbalanced; end if;
  end if;
  if wrong.problem is not null then
    raise exception 'a posting of entry % is not sound', wrong.entry_id
      using errcode = '23514', constraint = wrong.problem, schema = 'ledger', table = 'posting';
  end if;
  return null;
end $$;
create trigger posting_is_sound after insert on ledger.posting
  referencing new table as new_posting for each statement execute function ledger.posting_is_sound();

create function ledger.entry_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong record;
begin
  select n.entry_id into wrong from new_entry n
  where (select count(*) from (select from ledger.posting p where p.entry_id = n.entry_id limit 2) postings) < 2 limit 1;
  if found then
    raise exception 'entry % has fewer than two postings', wrong.entry_id
      using errcode = '23514', constraint = 'entry_has_two_postings', schema = 'ledger', table = 'entry';
  end if;
  -- All that was ever taken back of an entry, account by account, is at most what it booked, and the other way round.
  if exists (select from new_entry where reverses is not null) then
    perform from ledger.entry e where e.entry_id in (select reverses from new_entry) order by e.entry_id for no key update;
    select n.reverses as entry_id into wrong
    from (select distinct reverses from new_entry where reverses is not null) n
      left join ledger.entry e on e.entry_id = n.reverses
      join lateral (
        select p.account_id, sum(p.amount_minor) as remaining, coalesce(sum(p.amount_minor) filter (where p.entry_id = n.reverses), 0) as booked
        from (select n.reverses union all select back.entry_id from ledger.entry back where back.reverses = n.reverses) part (entry_id)
          join ledger.posting p on p.entry_id = part.entry_id
        group by p.account_id) left_over on true
    where e.entry_id is null or e.kind = 'reversal' or remaining * booked < 0 or abs(remaining) > abs(booked) limit 1;
    if found then
      raise exception 'entry % is reversed more than once over', wrong.entry_id
        using errcode = '23514', constraint = 'entry_is_reversed_once_over', schema = 'ledger', table = 'entry';
    end if;
  end if;
  return null;
end $$;
create trigger entry_is_sound after insert on ledger.entry
  referencing new table as new_entry for each statement execute function ledger.entry_is_sound();

create or replace function ledger.hold_moves_forward() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.status <> 'active' or new.captured_minor < old.captured_minor or (new.status = 'active' and new.captured_minor = old.captured_minor)
    or (old.hold_id, old.account_id, old.currency, old.amount_minor, old.created_at, old.expires_at)
      is distinct from (new.hold_id, new.account_id, new.currency, new.amount_minor, new.created_at, new.expires_at) then
    raise exception 'hold % cannot change from % to %', old.hold_id, old.status, new.status
      using errcode = '23514', constraint = 'hold_moves_forward', schema = 'ledger', table = 'hold';
  end if;
  return new;
end $$;

create trigger exchange_is_immutable before update or delete or truncate on ledger.exchange execute function ledger.booking_is_immutable();
create trigger rate_is_immutable before update or delete or truncate on ledger.rate execute function ledger.booking_is_immutable();

-- The functions of 0005 are what the processes are granted; they now ask the one writer.
drop function ledger.post;

create or replace function ledger.transfer(
  p_entry_id text, p_kind text, p_from text, p_to text, p_amount_minor numeric, p_currency text, p_description text, p_reference text,
  p_debtor ledger.party, p_creditor ledger.party, p_now timestamptz
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  word text;
begin
  perform ledger.check_amount(p_amount_minor);
  if p_from = p_to then
    raise exception 'from and to are one account'
      using errcode = '23514', constraint = 'transfer_is_between_two_accounts', schema = 'ledger', table = 'entry';
  end if;
  select outcome[1] into word from ledger.write(
    p_now, '-infinity', array[null::uuid], array[null::bytea], array[null::text],
    array[1], array[p_kind], array[p_entry_id], array[null::text], array[null::text], array[null::numeric], array[p_currency],
    array[null::text], array[null::text], array[null::text], array[p_description], array[p_reference], array[null::text], array[null::date],
    array[null::timestamptz],
    array[1, 1], array[1, 1], array[p_entry_id, p_entry_id], array[p_from, p_to], array[p_currency, p_currency], array[-p_amount_minor, p_amount_minor], array[0, 0]::numeric[],
    array[p_to, p_from], array[p_creditor.name, p_debtor.name], array[p_creditor.scheme_name, p_debtor.scheme_name],
    array[p_creditor.identification, p_debtor.identification]);
  if word in ('account_not_found', 'currency_mismatch') then
    raise exception 'no account % and % in %', p_from, p_to, p_currency
      using errcode = '23503', constraint = 'posting_currency_matches_account', schema = 'ledger', table = 'posting';
  end if;
  return case word when 'done' then 'posted' else word end;
end $$;

-- Posts exactly what was held to its creditor, and spends the hold: many at once, each with an outcome of its own. What was
-- held for a payment goes where the payment says, whatever the caller says. p_captures is an array of objects with the
-- members named in the first statement; the creditor's name and number are what the debtor's statement shows.
--
-- Plans are made while tables are small and kept: found by their keys, rows stay cheap when tables have grown.
create or replace function ledger.capture_holds(p_captures jsonb, p_now timestamptz)
returns table (hold_id text, outcome text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  asked ledger.capture[] := array(
    select row(
      c.hold_id, c.entry_id, c.creditor_account_id, c.payment_id, c.description, c.reference,
      row(c.creditor_name, c.creditor_scheme_name, c.creditor_identification)::ledger.party)::ledger.capture
    from jsonb_to_recordset(p_captures) c (
      hold_id text, entry_id text, creditor_account_id text, payment_id text, description text, reference text,
      creditor_name text, creditor_scheme_name text, creditor_identification text));
  asked_count integer := cardinality(asked);
  wrong record;
begin
  if asked_count = 0 then return; end if;
  -- None of what is compared here ever changes.
  select c.hold_id, problem into wrong
  from unnest(asked) c left join ledger.hold h using (hold_id)
    left join ledger.account creditor on creditor.account_id = c.creditor_account_id and creditor.currency = h.currency
    left join payments.payment p on p.payment_id = c.payment_id,
    lateral (select case
      when h.hold_id is null then null
      when h.account_id = c.creditor_account_id then 'transfer_is_between_two_accounts'
      when creditor.account_id is null then 'posting_currency_matches_account'
      when (c.payment_id is not null and (p.hold_id, p.debtor_account_id, p.creditor_account_id, p.amount_minor, p.currency)
          is distinct from (h.hold_id, h.account_id, c.creditor_account_id, h.amount_minor, h.currency))
        or (c.payment_id is null and exists (select from payments.payment p where p.hold_id = h.hold_id))
        then 'capture_is_as_its_payment_says'
      when (select count(*) from unnest(asked) same where same.hold_id = h.hold_id) > 1 then 'hold_is_captured_once'
    end) as judged (problem)
  where problem is not null limit 1;
  if found then
    raise exception 'hold % cannot be captured like this', wrong.hold_id
      using errcode = '23514', constraint = wrong.problem, schema = 'ledger', table = 'hold';
  end if;

  return query
  select c.hold_id, case word when 'done' then 'captured' else word end
  from (
    select (ledger.write(
      p_now, '-infinity', array_fill(null::uuid, array[asked_count]), array_fill(null::bytea, array[asked_count]), array_fill(null::text, array[asked_count]),
      array_agg(position::integer order by position), array_fill('capture'::text, array[asked_count]), array_agg(entry_id order by position),
      array_agg(c.hold_id order by position), array_agg(creditor_account_id order by position), array_fill(null::numeric, array[asked_count]),
      array_fill(null::text, array[asked_count]), array_agg((told).name order by position), array_agg((told).scheme_name order by position),
      array_agg((told).identification order by position), array_agg(description order by position), array_agg(reference order by position),
      array_agg(payment_id order by position), array_fill(null::date, array[asked_count]), array_fill(null::timestamptz, array[asked_count]),
      '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')).outcome as words
    from unnest(asked) with ordinality c (hold_id, entry_id, creditor_account_id, payment_id, description, reference, told, position)
  ) written, unnest(words) with ordinality w (word, position) join unnest(asked) with ordinality
    c (hold_id, entry_id, creditor_account_id, payment_id, description, reference, told, position) using (position);
end $$;

create or replace function ledger.release_hold(p_hold_id text, p_status text, p_now timestamptz)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  word text;
begin
  if (p_status in ('released', 'expired')) is not true then
    raise exception 'a hold is not released as %', p_status
      using errcode = '23514', constraint = 'hold_is_released_or_expired', schema = 'ledger', table = 'hold';
  end if;
  select outcome[1] into word from ledger.write(
    p_now, '-infinity', array[null::uuid], array[null::bytea], array[null::text],
    array[1], array[case p_status when 'expired' then 'expire' else 'release' end], array[null::text], array[p_hold_id], array[null::text],
    array[null::numeric], array[null::text], array[null::text], array[null::text], array[null::text], array[null::text], array[null::text],
    array[null::text], array[null::date], array[null::timestamptz], '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
  return case word when 'done' then p_status else word end;
end $$;

revoke execute on function
  ledger.ten_to_the, ledger.worth, ledger.legs_of_holds, ledger.legs_of_reversals, ledger.problem_of, ledger.decide_in_order, ledger.write,
  ledger.write_holds, ledger.posting_is_sound, ledger.entry_is_sound from public;
revoke usage on type ledger.leg from public;
grant usage on schema ledger to bankside_ledger;
grant select on ledger.currency, ledger.account, ledger.entry, ledger.posting, ledger.hold, ledger.movement, ledger.rate, ledger.exchange to bankside_ledger;
grant execute on function ledger.write, ledger.worth, ledger.open_account to bankside_ledger;
grant insert on ledger.rate to bankside_ledger;
grant select on ledger.rate, ledger.exchange to bankside_resource_api, bankside_worker;
grant select, delete on ledger.movement to bankside_worker;

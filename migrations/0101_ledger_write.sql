-- One function writes whatever moves money: many movements in one call, each accepted or declined as if they had come one
-- after another, in this order. A movement is one operation or several that succeed or fail together; an operation is an
-- entry, or the placing or release of a hold. What a caller must reckon with comes back as a word for each movement;
-- anything else raises an error that carries the name of the constraint, and nothing of the call has happened.
--
-- Rows are locked in one order everywhere: accounts by id, then holds by id, then keys. So no two of these calls deadlock,
-- and everything that decides is read when it is locked: READ COMMITTED is enough.

-- What an operation does to one account. Of legs with an amount a posting is made; held_minor is added to what is held.
-- other_id is the account at the other end, and what is told of its holder goes before what it says of itself.
create type ledger.leg as (
  movement integer, operation integer, entry_id text, account_id text, currency text, amount_minor numeric, held_minor numeric,
  other_id text, told_name text, told_scheme_name text, told_identification text, problem text);

-- The legs of captures and releases, which say which hold they take up: accounts and holds are locked by the caller.
create function ledger.legs_of_holds(
  p_now timestamptz, p_movement integer[], p_kind text[], p_id text[], p_target text[], p_account_id text[], p_amount_minor numeric[],
  p_name text[], p_scheme_name text[], p_identification text[]
) returns setof ledger.leg language sql stable set search_path = pg_catalog, pg_temp as $$
  with taken as materialized (
    select o.*, h.account_id as debtor_id, h.currency, h.amount_minor - h.captured_minor as remaining,
      coalesce(o.asked, h.amount_minor - h.captured_minor) as amount,
      case
        when h.status is distinct from 'active' then 'hold_not_active'
        when o.kind = 'expire' and h.expires_at > p_now then 'hold_not_expired'
        when o.kind in ('release', 'expire') then null
        when h.expires_at <= p_now then 'hold_expired'
        when o.asked > h.amount_minor - h.captured_minor then 'hold_exceeded'
        when h.account_id = o.account_id then 'account_not_usable'
      end as problem
    from unnest(p_movement, p_kind, p_id, p_target, p_account_id, p_amount_minor, p_name, p_scheme_name, p_identification)
        with ordinality o (movement, kind, id, target, account_id, asked, name, scheme_name, identification, operation)
      left join ledger.hold h on h.hold_id = o.target
    where o.kind in ('capture', 'capture_part', 'release', 'expire')
  )
  select movement, operation::integer, id, debtor_id, currency, case when kind in ('release', 'expire') then 0 else -amount end,
    case when kind = 'capture_part' then -amount else -remaining end, account_id, name, scheme_name, identification, problem
  from taken
  union all
  select movement, operation::integer, id, account_id, currency, amount, 0, debtor_id, null, null, null, problem
  from taken where kind in ('capture', 'capture_part')
$$;

-- The legs of reversals: of all that is left of an entry; of an amount, when it moved money between two accounts; and of legs
-- that the caller gives only what is wrong with them. What is left is what the entry booked less what was taken back of it.
create function ledger.legs_of_reversals(
  p_movement integer[], p_kind text[], p_id text[], p_target text[], p_amount_minor numeric[],
  p_leg_operation integer[], p_leg_account_id text[], p_leg_amount_minor numeric[]
) returns setof ledger.leg language sql stable set search_path = pg_catalog, pg_temp as $$
  with reversal as materialized (
    select o.movement, o.operation::integer, o.id, o.target, o.asked, o.operation::integer = any (p_leg_operation) as has_legs,
      coalesce(e.kind in ('opening', 'transfer', 'exchange'), false) as reversible
    from unnest(p_movement, p_kind, p_id, p_target, p_amount_minor) with ordinality o (movement, kind, id, target, asked, operation)
      left join ledger.entry e on e.entry_id = o.target
    where o.kind = 'reversal'
  ), booked as materialized (
    select r.operation, p.account_id, min(p.currency) as currency, sum(p.amount_minor) as remaining,
      sum(p.amount_minor) filter (where p.entry_id = r.target) as original,
      min(p.counterparty_name) filter (where p.entry_id = r.target) as name,
      min(p.counterparty_scheme_name) filter (where p.entry_id = r.target) as scheme_name,
      min(p.counterparty_identification) filter (where p.entry_id = r.target) as identification,
      count(*) over (partition by r.operation) as accounts
    from reversal r
      join lateral (select r.target union all select e.entry_id from ledger.entry e where e.reverses = r.target) part (entry_id) on true
      join ledger.posting p on p.entry_id = part.entry_id
    where r.reversible group by r.operation, r.target, p.account_id
  ), judged as materialized (
    select r.*, case
        when not reversible then 'entry_not_reversible'
        when not exists (select from booked b where b.operation = r.operation and b.remaining <> 0) then 'entry_reversed'
        when has_legs and exists (
          select from unnest(p_leg_operation, p_leg_account_id, p_leg_amount_minor) l (operation, account_id, amount_minor)
            left join booked b on b.operation = l.operation and b.account_id = l.account_id
          where l.operation = r.operation and (sign(l.amount_minor) <> -sign(b.remaining) or abs(l.amount_minor) > abs(b.remaining)) is not false)
          then 'reversal_exceeded'
        when not has_legs and asked is not null and exists (select from booked b where b.operation = r.operation and accounts <> 2)
          then 'entry_not_reversible'
        when not has_legs and exists (select from booked b where b.operation = r.operation and asked > abs(remaining)) then 'reversal_exceeded'
      end as problem
    from reversal r
  )
  select j.movement, j.operation, j.id, b.account_id, b.currency, case when asked is null then -b.remaining else -sign(b.original) * asked end, 0,
    null, b.name, b.scheme_name, b.identification, null
  from judged j join booked b on b.operation = j.operation where j.problem is null and not has_legs and b.remaining <> 0
  union all
  select movement, operation, id, null, null, 0, 0, null, null, null, null, problem from judged where problem is not null
$$;

-- What stands against a leg, whatever there is on its account.
create function ledger.problem_of(leg ledger.leg, account ledger.account) returns text language sql immutable as $$
  select case
    when leg.problem is not null then leg.problem
    when account.account_id is null then 'account_not_found'
    when account.currency <> leg.currency then 'currency_mismatch'
    when account.status <> 'open' and (leg.amount_minor < 0 or leg.held_minor > 0) then 'account_not_usable'
    when account.status = 'closed' and leg.amount_minor > 0 then 'account_not_usable'
  end
$$;

-- Goes through the movements one after another, for when not all of them can be accepted. p_words has a word for each movement
-- that is decided already. Whatever an operation does to an account is done before it is asked whether that was too much.
create function ledger.decide_in_order(p_words text[], p_legs ledger.leg[]) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  words text[] := p_words;
  -- By place: what can still be spent on an account. Null where there is no end to it.
  available numeric[];
  before numeric[];
  spent integer[] := '{}';
  place integer;
  step record;
begin
  available := array(
    select case when a.kind = 'customer' then a.posted_minor - a.held_minor + a.overdraft_minor end
    from (select distinct account_id from unnest(p_legs) where account_id is not null) named left join ledger.account a using (account_id)
    order by account_id);
  before := available;
  for step in
    select l.movement, l.problem, l.effect, l.place,
      lag(l.movement) over in_order is distinct from l.movement as begins_movement,
      lead(l.movement) over in_order is distinct from l.movement or lead(l.operation) over in_order is distinct from l.operation as ends_operation
    from (
      select leg.movement, leg.operation, position, leg.amount_minor - leg.held_minor as effect, ledger.problem_of(leg, a) as problem,
        dense_rank() over (order by leg.account_id)::integer as place
      from unnest(p_legs) with ordinality as u (movement, operation, entry_id, account_id, currency, amount_minor, held_minor, other_id, told_name,
          told_scheme_name, told_identification, problem, position)
        cross join lateral (select u.movement, u.operation, u.entry_id, u.account_id, u.currency, u.amount_minor, u.held_minor, u.other_id, u.told_name,
          u.told_scheme_name, u.told_identification, u.problem) leg
        left join ledger.account a on a.account_id = u.account_id
    ) l window in_order as (order by l.movement, l.operation, l.position)
    order by l.movement, l.operation, l.position
  loop
    if step.begins_movement then
      before := available;
      spent := '{}';
    end if;
    continue when words[step.movement] is not null;
    if step.problem is not null then
      words[step.movement] := step.problem;
    else
      available[step.place] := available[step.place] + step.effect;
      if step.effect < 0 then spent := spent || step.place; end if;
      if step.ends_operation then
        foreach place in array spent loop
          if available[place] < 0 then words[step.movement] := 'insufficient_funds'; end if;
        end loop;
        spent := '{}';
      end if;
    end if;
    if words[step.movement] is not null then available := before; end if;
  end loop;
  return words;
end $$;

-- p_key holds a key for each movement, or null for one that is made whenever it is asked for. Keys, holds and reversed entries
-- are named once in a call. Answers with a word for each movement: 'done'; 'replayed', when it was made before under its key,
-- and then what was made; 'key_reused'; or why it was declined.
--
-- Each array has a place for each movement (p_key, p_request_hash, p_made), operation, leg, event or record, in their order.
create function ledger.write(
  p_now timestamptz, p_forget_before timestamptz, p_key uuid[], p_request_hash bytea[], p_made text[],
  p_operation_movement integer[], p_operation_kind text[], p_operation_id text[], p_operation_target text[],
  p_operation_account_id text[], p_operation_amount_minor numeric[], p_operation_currency text[],
  p_operation_name text[], p_operation_scheme_name text[], p_operation_identification text[],
  p_operation_description text[], p_operation_reference text[], p_operation_payment_id text[],
  p_operation_value_date date[], p_operation_expires_at timestamptz[],
  p_leg_movement integer[], p_leg_operation integer[], p_leg_entry_id text[], p_leg_account_id text[], p_leg_currency text[], p_leg_amount_minor numeric[],
  p_leg_held_minor numeric[], p_leg_other_id text[], p_leg_name text[], p_leg_scheme_name text[], p_leg_identification text[],
  p_exchanges jsonb default null,
  p_event_movement integer[] default null, p_event_id text[] default null, p_event_type text[] default null, p_event_subject text[] default null,
  p_event_client_id text[] default null, p_event_customer_id text[] default null, p_event_payload text[] default null,
  p_record_movement integer[] default null, p_record_id text[] default null, p_record_actor text[] default null, p_record_action text[] default null,
  p_record_subject text[] default null, p_record_interaction_id text[] default null, p_record_details text[] default null,
  out outcome text[], out replayed text[]
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  has_targets boolean := array_remove(p_operation_target, null) <> '{}';
  has_holds boolean := has_targets or 'hold' = any (p_operation_kind);
  problem text[];
  words text[];
  all_can boolean;
  -- For each movement; null when all of them are accepted.
  accepted boolean[];
  today date := (p_now at time zone 'Europe/London')::date;
  keys integer;
  keyed integer;
begin
  if has_targets then
    if (select count(target) <> count(distinct target) from unnest(p_operation_target) target) then
      raise exception 'a hold or an entry is taken up twice in one call'
        using errcode = '23514', constraint = 'target_is_named_once', schema = 'ledger', table = 'movement';
    end if;
    perform from ledger.account a where a.account_id in (
      select unnest(p_leg_account_id) union all select unnest(p_operation_account_id)
      union all select h.account_id from ledger.hold h where h.hold_id = any (p_operation_target)
      union all select p.account_id from ledger.posting p where p.entry_id = any (p_operation_target))
    order by a.account_id for no key update;
    perform from ledger.hold h where h.hold_id = any (p_operation_target) order by h.hold_id for update;
    select p_leg_movement || array_agg(l.movement), p_leg_operation || array_agg(l.operation), p_leg_entry_id || array_agg(l.entry_id), p_leg_account_id || array_agg(l.account_id),
      p_leg_currency || array_agg(l.currency), p_leg_amount_minor || array_agg(l.amount_minor), p_leg_held_minor || array_agg(l.held_minor),
      p_leg_other_id || array_agg(l.other_id), p_leg_name || array_agg(l.told_name), p_leg_scheme_name || array_agg(l.told_scheme_name),
      p_leg_identification || array_agg(l.told_identification), array_fill(null::text, array[cardinality(p_leg_movement)]) || array_agg(l.problem)
    into p_leg_movement, p_leg_operation, p_leg_entry_id, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, p_leg_other_id, p_leg_name,
      p_leg_scheme_name, p_leg_identification, problem
    from (
      select * from ledger.legs_of_holds(p_now, p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_account_id,
        p_operation_amount_minor, p_operation_name, p_operation_scheme_name, p_operation_identification)
      union all
      select * from ledger.legs_of_reversals(p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_amount_minor,
        p_leg_operation, p_leg_account_id, p_leg_amount_minor)
    ) l;
    p_operation_currency := array(
      select coalesce(asked.currency, found.currency)
      from unnest(p_operation_currency) with ordinality asked (currency, operation)
        left join (
          select operation, case when min(currency) = max(currency) then min(currency) end as currency
          from unnest(p_leg_operation, p_leg_currency) l (operation, currency) group by operation) found using (operation)
      order by operation);
  else
    perform from ledger.account a where a.account_id = any (p_leg_account_id) order by a.account_id for no key update;
  end if;

  -- Asked when the accounts are locked: whoever made the same movement meanwhile is seen.
  if exists (select from ledger.movement m where m.movement_key = any (p_key) and m.made_at > p_forget_before) then
    select array_agg(m.made order by asked.position),
      array_agg(case when m.request_hash = asked.request_hash then 'replayed' when m.movement_key is not null then 'key_reused' end order by asked.position)
    into replayed, words
    from unnest(p_key, p_request_hash) with ordinality asked (movement_key, request_hash, position)
      left join ledger.movement m on m.movement_key = asked.movement_key and m.made_at > p_forget_before;
    all_can := false;
  else
    -- All at once, as if all were accepted: then the first that cannot be is found at its place.
    select bool_and(stands) into all_can
    from (
      select ledger.problem_of(row(l.movement, l.operation, null, l.account_id, l.currency, l.amount_minor, l.held_minor, null, null, null, null, l.problem)::ledger.leg, a) is null
        and (a.kind <> 'customer' or l.amount_minor >= l.held_minor
          or a.posted_minor - a.held_minor + a.overdraft_minor
            + sum(l.amount_minor - l.held_minor) over (partition by l.account_id order by l.movement, l.operation) >= 0) as stands
      from unnest(p_leg_movement, p_leg_operation, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, problem)
          l (movement, operation, account_id, currency, amount_minor, held_minor, problem)
        left join ledger.account a on a.account_id = l.account_id
    ) judged;
  end if;
  if all_can is not true then
    words := ledger.decide_in_order(coalesce(words, array_fill(null::text, array[cardinality(p_key)])), array(
      select row(l.*)::ledger.leg
      from unnest(p_leg_movement, p_leg_operation, p_leg_entry_id, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor,
        p_leg_other_id, p_leg_name, p_leg_scheme_name, p_leg_identification, problem) l));
    accepted := array(select word is null from unnest(words) with ordinality w (word, position) order by position);
    outcome := array(select coalesce(word, 'done') from unnest(words) with ordinality w (word, position) order by position);
    if true <> all (accepted) then return; end if;
  else
    outcome := array_fill('done'::text, array[cardinality(p_key)]);
  end if;

  with leg as materialized (
    select l.*, a.last_booked_at, sum(l.amount_minor) over so_far + a.posted_minor as balance_minor,
      count(*) filter (where l.amount_minor <> 0) over so_far + a.posting_count as posting_number
    from unnest(p_leg_movement, p_leg_operation, p_leg_entry_id, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor,
        p_leg_other_id, p_leg_name, p_leg_scheme_name, p_leg_identification)
        with ordinality l (movement, operation, entry_id, account_id, currency, amount_minor, held_minor, other_id, name, scheme_name, identification, position)
      join ledger.account a on a.account_id = l.account_id
    where accepted is null or accepted[l.movement]
    window so_far as (partition by l.account_id order by l.movement, l.operation, l.position rows unbounded preceding)
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, reverses, hold_id, booked_at, value_date)
    select o.id, case when o.kind in ('capture', 'capture_part') then 'transfer' else o.kind end, o.currency, o.description, o.reference, o.payment_id,
      case when o.kind = 'reversal' then o.target end, case when o.kind in ('capture', 'capture_part') then o.target end, p_now,
      coalesce(o.value_date, today)
    from unnest(p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_currency, p_operation_description,
        p_operation_reference, p_operation_payment_id, p_operation_value_date)
        o (movement, kind, id, target, currency, description, reference, payment_id, value_date)
    where o.kind not in ('hold', 'release', 'expire') and (accepted is null or accepted[o.movement])
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select l.account_id, l.posting_number, l.entry_id, l.currency, l.amount_minor, l.balance_minor, coalesce(l.name, other.holder_name, ''),
      case when l.identification is not null then l.scheme_name else (ledger.party_of(other)).scheme_name end,
      coalesce(l.identification, (ledger.party_of(other)).identification), greatest(p_now, l.last_booked_at)
    from leg l left join ledger.account other on other.account_id = l.other_id
    where l.amount_minor <> 0
  ), balanced as (
    update ledger.account a
    set posted_minor = a.posted_minor + moved.amount_minor, held_minor = a.held_minor + moved.held_minor, posting_count = a.posting_count + moved.postings,
      last_booked_at = case when moved.postings > 0 then greatest(p_now, a.last_booked_at) else a.last_booked_at end
    from (
      select account_id, sum(amount_minor) as amount_minor, sum(held_minor) as held_minor, count(*) filter (where amount_minor <> 0) as postings
      from leg group by account_id) moved
    where a.account_id = moved.account_id
  ), told as (
    insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, next_attempt_at)
    select id, type, subject, client_id, customer_id, payload::jsonb, p_now, 0, p_now
    from unnest(p_event_movement, p_event_id, p_event_type, p_event_subject, p_event_client_id, p_event_customer_id, p_event_payload)
      e (movement, id, type, subject, client_id, customer_id, payload)
    where accepted is null or accepted[movement]
  ), recorded as (
    insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
    select id, p_now, actor, action, subject, interaction_id, details::jsonb
    from unnest(p_record_movement, p_record_id, p_record_actor, p_record_action, p_record_subject, p_record_interaction_id, p_record_details)
      r (movement, id, actor, action, subject, interaction_id, details)
    where accepted is null or accepted[movement]
  ), made as (
    insert into ledger.movement as m (movement_key, request_hash, made, made_at)
    select movement_key, request_hash, made, p_now
    from unnest(p_key, p_request_hash, p_made) with ordinality asked (movement_key, request_hash, made, position)
    where movement_key is not null and (accepted is null or accepted[position]) order by movement_key
    on conflict on constraint movement_is_made_once do update set request_hash = excluded.request_hash, made = excluded.made, made_at = excluded.made_at
      where m.made_at <= p_forget_before
    returning movement_key
  )
  select (select count(*) from made), count(movement_key) into keyed, keys
  from unnest(p_key) with ordinality asked (movement_key, position) where accepted is null or accepted[position];
  -- Another process made one of these under its key while this call waited for it. Asked again, this is seen.
  if keyed <> keys then
    raise exception 'a movement was made meanwhile under one of these keys' using errcode = '40001', constraint = 'movement_is_made_once', schema = 'ledger', table = 'movement';
  end if;

  if has_holds then
    perform ledger.write_holds(p_now, accepted, p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_account_id,
      p_operation_amount_minor, p_operation_currency, p_operation_expires_at);
  end if;
  if p_exchanges is not null then
    insert into ledger.exchange (
      entry_id, sold_currency, sold_digits, sold_minor, priced_minor, bought_currency, bought_digits, bought_minor, price_units, price_scale, source, quoted_at)
    select entry_id, sold_currency, sold_digits, sold_minor, priced_minor, bought_currency, bought_digits, bought_minor, price_units, price_scale, source, quoted_at
    from jsonb_to_recordset(p_exchanges) x (
      movement integer, entry_id text, sold_currency text, sold_digits integer, sold_minor numeric, priced_minor numeric, bought_currency text,
      bought_digits integer, bought_minor numeric, price_units numeric, price_scale integer, source text, quoted_at timestamptz)
    where accepted is null or accepted[movement];
  end if;
end $$;

create function ledger.write_holds(
  p_now timestamptz, p_accepted boolean[], p_movement integer[], p_kind text[], p_id text[], p_target text[], p_account_id text[],
  p_amount_minor numeric[], p_currency text[], p_expires_at timestamptz[]
) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Whoever may hold funds cannot put them out of reach for long: by the caller's clock and by ours, which nobody else sets.
  if exists (
    select from unnest(p_kind, p_expires_at) o (kind, expires_at)
    where kind = 'hold' and expires_at > least(p_now, clock_timestamp()) + interval '7 days') then
    raise exception 'funds cannot be held for so long'
      using errcode = '23514', constraint = 'hold_ends_within_seven_days', table = 'hold', schema = 'ledger';
  end if;
  insert into ledger.hold (hold_id, account_id, currency, amount_minor, status, created_at, expires_at, placed_for)
  select id, account_id, currency, amount_minor, 'active', p_now, expires_at, 'movement'
  from unnest(p_movement, p_kind, p_id, p_account_id, p_currency, p_amount_minor, p_expires_at)
    o (movement, kind, id, account_id, currency, amount_minor, expires_at)
  where kind = 'hold' and (p_accepted is null or p_accepted[movement]);

  update ledger.hold h set
    captured_minor = h.captured_minor + taken.amount, entry_id = case when taken.ends and taken.kind like 'capture%' then taken.id end,
    status = case when not taken.ends then 'active' when taken.kind like 'capture%' then 'captured' when taken.kind = 'expire' then 'expired' else 'released' end,
    resolved_at = case when taken.ends then p_now end
  from (
    select o.*, case when o.kind like 'capture%' then coalesce(o.asked, h.amount_minor - h.captured_minor) else 0 end as amount,
      o.kind <> 'capture_part' or coalesce(o.asked, h.amount_minor - h.captured_minor) = h.amount_minor - h.captured_minor as ends
    from unnest(p_movement, p_kind, p_id, p_target, p_amount_minor) o (movement, kind, id, target, asked)
      join ledger.hold h on h.hold_id = o.target
    where o.kind in ('capture', 'capture_part', 'release', 'expire') and (p_accepted is null or p_accepted[o.movement])
  ) taken where h.hold_id = taken.target and taken.target = any (p_target);
end $$;

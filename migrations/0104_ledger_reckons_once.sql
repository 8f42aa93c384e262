-- Goes through the movements one after another, for when not all of them can be accepted. p_words has a word for each movement
-- that is decided already. What stands against
-- an operation as a whole goes before what stands against one of its legs; whatever it does to an account is done before it is
-- asked whether that was too much.
create or replace function ledger.decide_in_order(p_words text[], p_legs ledger.leg[]) returns text[]
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
        leg.account_id is null as of_operation,
        dense_rank() over (order by leg.account_id)::integer as place
      from unnest(p_legs) with ordinality as u (movement, operation, entry_id, account_id, currency, amount_minor, held_minor, other_id, told_name,
          told_scheme_name, told_identification, problem, position)
        cross join lateral (select u.movement, u.operation, u.entry_id, u.account_id, u.currency, u.amount_minor, u.held_minor, u.other_id, u.told_name,
          u.told_scheme_name, u.told_identification, u.problem) leg
        left join ledger.account a on a.account_id = u.account_id
    ) l window in_order as (order by l.movement, l.operation, l.of_operation desc, l.position)
    order by l.movement, l.operation, l.of_operation desc, l.position
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


-- What the legs come to is reckoned once, when it is decided whether they can be made, and an entry is looked for once for all its
-- postings.
create or replace function ledger.write(
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
  balance_minor numeric[];
  posting_number bigint[];
  booked_at timestamptz[];
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
  end if;

  loop
    if all_can is false then
      words := ledger.decide_in_order(coalesce(words, array_fill(null::text, array[cardinality(p_key)])), array(
        select row(l.*)::ledger.leg
        from unnest(p_leg_movement, p_leg_operation, p_leg_entry_id, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor,
          p_leg_other_id, p_leg_name, p_leg_scheme_name, p_leg_identification, problem) l));
      accepted := array(select word is null from unnest(words) with ordinality w (word, position) order by position);
      exit when true <> all (accepted);
    end if;
    -- What each leg comes to, if all that are accepted are made; at first, as if all were: one that cannot be made shows then.
    select
      coalesce(bool_and(a.account_id is not null and (a.kind <> 'customer' or effect >= 0 or a.posted_minor - a.held_minor + a.overdraft_minor + effects >= 0)
        and ledger.problem_of(row(l.movement, l.operation, null, l.account_id, l.currency, l.amount_minor, l.held_minor, null, null, null, null, l.problem)::ledger.leg, a) is null), true),
      array_agg(a.posted_minor + amounts order by position), array_agg(a.posting_count + postings order by position),
      array_agg(greatest(p_now, a.last_booked_at) order by position)
    into all_can, balance_minor, posting_number, booked_at
    from (
      select l.*, amount_minor - held_minor as effect, sum(amount_minor - held_minor) over by_operation as effects,
        sum(amount_minor) over by_leg as amounts, count(nullif(amount_minor, 0)) over by_leg as postings
      from (
        select movement, operation, account_id, currency, held_minor, problem, position,
          case when accepted is null or accepted[movement] then amount_minor else 0 end as amount_minor
        from unnest(p_leg_movement, p_leg_operation, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, problem)
          with ordinality l (movement, operation, account_id, currency, amount_minor, held_minor, problem, position)
      ) l
      window by_operation as (partition by account_id order by movement, operation),
        by_leg as (partition by account_id order by movement, operation, position rows unbounded preceding)
    ) l left join ledger.account a using (account_id);
    exit when all_can or accepted is not null;
  end loop;
  outcome := case when words is null then array_fill('done'::text, array[cardinality(p_key)])
    else array(select coalesce(word, 'done') from unnest(words) with ordinality w (word, position) order by position) end;
  if accepted is not null and true <> all (accepted) then return; end if;

  with leg as materialized (
    select *
    from unnest(p_leg_movement, p_leg_operation, p_leg_entry_id, p_leg_account_id, p_leg_currency, p_leg_amount_minor, p_leg_held_minor,
        p_leg_other_id, p_leg_name, p_leg_scheme_name, p_leg_identification, balance_minor, posting_number, booked_at)
      l (movement, operation, entry_id, account_id, currency, amount_minor, held_minor, other_id, name, scheme_name, identification,
        balance_minor, posting_number, booked_at)
    where accepted is null or accepted[l.movement]
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
      coalesce(l.identification, (ledger.party_of(other)).identification), l.booked_at
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


create or replace function ledger.posting_is_sound() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong text;
begin
  -- The least of the words is named, so they are numbered in the order in which they matter.
  select min(case
      when problem is not null then problem
      when not exists (select from ledger.entry e where e.entry_id = judged.entry_id) then '2posting_belongs_to_an_entry'
      when total <> 0 then '3entry_balances'
    end) into wrong
  from (
    select n.entry_id, sum(n.amount_minor) as total, min(case
        when a.account_id is null then '1posting_currency_matches_account'
        when n.amount_minor = 0 then '1posting_amount_is_not_zero'
        when n.posting_number > a.posting_count or n.posting_number = a.posting_count and n.balance_minor <> a.posted_minor
          or n.posting_number <= a.posting_count - (select count(*) from new_posting) then '4posting_agrees_with_its_account'
      end) as problem
    from new_posting n left join ledger.account a on a.account_id = n.account_id and a.currency = n.currency
    group by n.entry_id, n.currency) judged;
  if wrong is not null then
    -- Disagreement with an account says less than that there is no entry, or that it does not balance.
    if wrong like '4%' and exists (select entry_id from new_posting except select entry_id from ledger.entry) then wrong := '2posting_belongs_to_an_entry'; end if;
    if wrong like '4%' and exists (select from new_posting group by entry_id, currency having sum(amount_minor) <> 0) then wrong := '3entry_balances'; end if;
    raise exception 'a posting is not sound: %', substr(wrong, 2)
      using errcode = '23514', constraint = substr(wrong, 2), schema = 'ledger', table = 'posting';
  end if;
  return null;
end $$;


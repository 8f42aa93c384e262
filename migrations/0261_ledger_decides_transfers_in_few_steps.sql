-- A transfer by itself is decided by the few steps that it needs, and an account that is locked is written where it was found, not looked for again.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_books to %I', current_user); end if;
end $$;

-- Writes movements in one call, each accepted or declined as if they had come one after another, in this order. Answers with a word
-- for each: 'done'; 'replayed', when it was made before under its key, and then what was made; 'key_reused'; or why it was
-- declined. Anything else is an error that carries the name of a constraint, and nothing of the call has happened.
--
-- Arrays have a place for each movement (p_key, p_request_hash, p_made), operation, leg or record, in their order; one with nothing
-- in it may be null. p_key may be null where a movement is made whenever it is asked for; p_made, where each movement is one operation
-- that makes what its id says. p_account_id names each account of legs and operations once; legs say at which place of it theirs
-- stands, and the other one. A leg is in the currency of its operation unless it says another. Keys, holds and reversed entries are
-- named once in a call. p_actor is for whom all of it is done; operations may each say another.
create or replace function ledger.write(
  p_now timestamptz, p_forget_before timestamptz, p_actor text, p_key uuid[], p_request_hash bytea[], p_made text[], p_account_id text[],
  p_operation_movement integer[], p_operation_kind text[], p_operation_id text[], p_operation_target text[],
  p_operation_account_id text[], p_operation_amount_minor numeric[], p_operation_currency text[],
  p_operation_name text[], p_operation_scheme_name text[], p_operation_identification text[],
  p_operation_description text[], p_operation_reference text[], p_operation_payment_id text[],
  p_operation_value_date date[], p_operation_expires_at timestamptz[], p_operation_actor text[], p_operation_interaction_id text[],
  p_leg_operation integer[], p_leg_account integer[], p_leg_other integer[], p_leg_currency text[], p_leg_amount_minor numeric[],
  p_leg_held_minor numeric[], p_leg_name text[], p_leg_scheme_name text[], p_leg_identification text[],
  p_exchanges jsonb default null,
  p_record_movement integer[] default null, p_record_id text[] default null, p_record_actor text[] default null, p_record_action text[] default null,
  p_record_subject text[] default null, p_record_interaction_id text[] default null, p_record_details text[] default null,
  out outcome text[], out replayed text[]
) language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  movement_count integer := coalesce(p_operation_movement[cardinality(p_operation_movement)], 0);
  leg_count integer := coalesce(cardinality(p_leg_account), 0);
  today date := (p_now at time zone 'Europe/London')::date;
  has_targets boolean := array_remove(p_operation_target, null) <> '{}';
  has_holds boolean := has_targets or 'hold' = any (p_operation_kind);
  leg_problem text[];
  -- By place, as they stand when all that was accepted so far is done. least is what must be left: null where there is no
  -- end to it. told is how an account's holder is called at the other end.
  found_id text[];
  found_at tid[];
  account_currency text[];
  account_status text[];
  open_currency text[];
  least numeric[];
  posted numeric[];
  held numeric[];
  counted bigint[];
  booked timestamptz[];
  told_name text[];
  told_scheme_name text[];
  told_identification text[];
  -- By leg: the posting that is made of it. Those with no number are none.
  numbered bigint[];
  balances numeric[];
  -- By movement: why it is not made.
  words text[];
  all_made boolean := true;
  movement integer := 0;
  declined boolean;
  first_leg integer;
  leg integer := 1;
  operation_leg integer;
  undo_to integer;
  place integer;
  other integer;
  amount numeric;
  held_amount numeric := 0;
  named_currency text;
  total numeric;
  short boolean;
  problem text;
  -- By movement: the holds that it gives back.
  released text[];
  -- No key was used before, whether it is remembered or not: then all are written before anything is locked.
  keys_are_new boolean;
  keys integer;
  keyed integer;
begin
  if cardinality(p_key) <> movement_count then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
  -- What is held follows from a hold, here or in what it is taken up by.
  if p_leg_held_minor is not null and exists (
    select from unnest(p_leg_operation, p_leg_held_minor) l (operation, held_minor)
    where l.held_minor <> 0 and (p_operation_kind[l.operation] = 'hold') is not true) then
    perform ledger.raise_unsound('held_amount_is_of_a_hold', 'hold');
  end if;
  if has_targets then
    if (select count(target) <> count(distinct target) from unnest(p_operation_target) target) then
      raise exception 'a hold or an entry is taken up twice in one call'
        using errcode = '23514', constraint = 'target_is_named_once', schema = 'ledger', table = 'movement';
    end if;
    p_account_id := coalesce(p_account_id, '{}') || array(
      select distinct behind.account_id
      from (
        select h.account_id from ledger.hold h where h.hold_id = any (p_operation_target)
        union all select p.account_id from ledger.posting p where p.entry_id = any (p_operation_target)
      ) behind where behind.account_id <> all (coalesce(p_account_id, '{}')));
  end if;
  -- A key is looked for and written before anything is locked: within its generation of keys the primary key decides, what was written
  -- to those before is seen. So those who ask for the same at once wait for each other here, and the others for as short as can be.
  words := array_fill(null::text, array[movement_count]);
  if 'release' = any (p_operation_kind) or 'expire' = any (p_operation_kind) then
    released := array(
      select (select string_agg(o.target, ' ') from unnest(p_operation_movement, p_operation_kind, p_operation_target) o (movement, kind, target)
        where o.movement = m.number and o.kind in ('release', 'expire'))
      from generate_series(1, movement_count) m (number) order by m.number);
  end if;
  keys_are_new := p_key is null or not exists (select from ledger.movement m where m.movement_key = any (p_key));
  if keys_are_new and p_key is not null then
    insert into ledger.movement (movement_key, request_hash, made, released, made_at)
    select asked.movement_key, asked.request_hash, asked.made, asked.released, p_now
    from unnest(p_key, p_request_hash, coalesce(p_made, p_operation_id), released) asked (movement_key, request_hash, made, released)
    where asked.movement_key is not null order by asked.movement_key;
  elsif not keys_are_new and exists (select from ledger.movement m where m.movement_key = any (p_key) and m.made_at > p_forget_before) then
    select array_agg(m.made order by asked.position),
      array_agg(case when m.request_hash = asked.request_hash then 'replayed' when m.movement_key is not null then 'key_reused' end order by asked.position)
    into replayed, words
    from unnest(p_key, p_request_hash) with ordinality asked (movement_key, request_hash, position)
      left join lateral (
        select * from ledger.movement m where m.movement_key = asked.movement_key and m.made_at > p_forget_before order by m.made_at desc limit 1) m on true;
    all_made := false;
  end if;

  select array_agg(a.account_id), array_agg(a.at), array_agg(a.currency), array_agg(a.status), array_agg(case a.status when 'open' then a.currency end),
    array_agg(case a.kind when 'customer' then a.held_minor - a.overdraft_minor end), array_agg(a.posted_minor),
    array_agg(a.posting_count), array_agg(greatest(p_now, a.last_booked_at)), array_agg(a.holder_name),
    array_agg(case when a.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when a.iban is not null then 'UK.OBIE.IBAN' end),
    array_agg(coalesce(a.sort_code || a.account_number, a.iban))
  into found_id, found_at, account_currency, account_status, open_currency, least, posted, counted, booked, told_name, told_scheme_name, told_identification
  from (
    select account_id, ctid as at, currency, status, kind, posted_minor, held_minor, overdraft_minor, posting_count, last_booked_at, holder_name,
      sort_code, account_number, iban
    from ledger.account where account_id = any (p_account_id) order by account_id for no key update) a;
  if found_id is distinct from p_account_id then
    -- Some are not there, or they were named in another order.
    if (select count(*) <> count(distinct account_id) from unnest(p_account_id) account_id) then
      perform ledger.raise_unsound('account_is_named_once', 'account');
    end if;
    select array_agg(a.ctid order by n.place), array_agg(a.currency order by n.place), array_agg(a.status order by n.place),
      array_agg(case a.status when 'open' then a.currency end order by n.place),
      array_agg(case a.kind when 'customer' then a.held_minor - a.overdraft_minor end order by n.place),
      array_agg(a.posted_minor order by n.place), array_agg(a.posting_count order by n.place),
      array_agg(greatest(p_now, a.last_booked_at) order by n.place), array_agg(a.holder_name order by n.place),
      array_agg(case when a.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when a.iban is not null then 'UK.OBIE.IBAN' end order by n.place),
      array_agg(coalesce(a.sort_code || a.account_number, a.iban) order by n.place)
    into found_at, account_currency, account_status, open_currency, least, posted, counted, booked, told_name, told_scheme_name, told_identification
    from unnest(p_account_id) with ordinality n (account_id, place) left join ledger.account a on a.account_id = n.account_id;
  end if;

  if has_targets then
    perform from ledger.hold h where h.hold_id = any (p_operation_target) order by h.hold_id for update;
    select array_agg(l.operation order by l.operation, l.position), array_agg(l.account order by l.operation, l.position),
      array_agg(l.other order by l.operation, l.position), array_agg(l.currency order by l.operation, l.position),
      array_agg(l.amount_minor order by l.operation, l.position), array_agg(l.held_minor order by l.operation, l.position),
      array_agg(l.name order by l.operation, l.position), array_agg(l.scheme_name order by l.operation, l.position),
      array_agg(l.identification order by l.operation, l.position), array_agg(l.problem order by l.operation, l.position)
    into p_leg_operation, p_leg_account, p_leg_other, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, p_leg_name, p_leg_scheme_name,
      p_leg_identification, leg_problem
    from (
      select operation, account, other, coalesce(currency, p_operation_currency[operation]) as currency, amount_minor,
        coalesce(held_minor, 0) as held_minor, name, scheme_name, identification, null as problem, position
      from unnest(p_leg_operation, p_leg_account, p_leg_other, p_leg_currency, p_leg_amount_minor, p_leg_held_minor, p_leg_name, p_leg_scheme_name,
        p_leg_identification) with ordinality l (operation, account, other, currency, amount_minor, held_minor, name, scheme_name, identification, position)
      union all
      select l.operation, array_position(p_account_id, l.account_id), array_position(p_account_id, l.other_id), l.currency, l.amount_minor,
        l.held_minor, l.told_name, l.told_scheme_name, l.told_identification, l.problem, 0
      from (
        select * from ledger.legs_of_holds(p_now, p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_account_id,
          p_operation_amount_minor, p_operation_name, p_operation_scheme_name, p_operation_identification)
        union all
        select * from ledger.legs_of_reversals(p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_amount_minor,
          coalesce(p_leg_operation, '{}'), array(select p_account_id[account] from unnest(p_leg_account) with ordinality l (account, position) order by position), p_leg_amount_minor)
      ) l
    ) l;
    leg_count := coalesce(cardinality(p_leg_operation), 0);
    p_operation_currency := array(
      select coalesce(asked.currency, found.currency)
      from unnest(p_operation_currency, p_operation_kind) with ordinality asked (currency, kind, operation)
        left join (
          select operation, case when min(currency) = max(currency) then min(currency) end as currency
          from unnest(p_leg_operation, p_leg_currency) l (operation, currency) group by operation) found using (operation)
      order by operation);
  end if;

  numbered := array_fill(null::bigint, array[leg_count]);
  balances := array_fill(null::numeric, array[leg_count]);
  if has_holds then held := array_fill(0::numeric, array[cardinality(p_account_id)]); end if;

  -- Nearly all that comes is a transfer by itself, between two open accounts of its currency, with the funds for it. From the first that is
  -- not on, all are looked at as below.
  if all_made and not has_holds and p_leg_currency is null and leg_count = 2 * movement_count
    and p_operation_movement = array(select generate_series(1, movement_count))
    and p_leg_operation = array(select (number + 1) / 2 from generate_series(1, leg_count) number) then
    while movement < movement_count loop
      place := p_leg_account[leg];
      other := p_leg_account[leg + 1];
      amount := p_leg_amount_minor[leg + 1];
      named_currency := p_operation_currency[movement + 1];
      exit when (open_currency[place] = named_currency and open_currency[other] = named_currency and place <> other
        and amount > 0 and p_leg_amount_minor[leg] = -amount and (posted[place] - amount < least[place]) is not true) is not true;
      movement := movement + 1;
      posted[place] := posted[place] - amount;
      counted[place] := counted[place] + 1;
      numbered[leg] := counted[place];
      balances[leg] := posted[place];
      posted[other] := posted[other] + amount;
      counted[other] := counted[other] + 1;
      numbered[leg + 1] := counted[other];
      balances[leg + 1] := posted[other];
      leg := leg + 2;
    end loop;
  end if;

  -- Each movement is done in memory as it comes, and undone when it turns out that it cannot be. What stands against an operation
  -- as a whole goes before what stands against one of its legs; whatever it does to an account is done before it is asked
  -- whether that was too much.
  for operation in movement + 1..cardinality(p_operation_movement) loop
    if p_operation_movement[operation] <> movement then
      if p_operation_movement[operation] <> movement + 1 then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
      movement := p_operation_movement[operation];
      first_leg := leg;
      declined := words[movement] is not null;
    end if;
    operation_leg := leg;
    undo_to := null;
    total := 0;
    short := false;
    while p_leg_operation[leg] = operation loop
      if not declined then
        place := p_leg_account[leg];
        amount := p_leg_amount_minor[leg];
        named_currency := coalesce(p_leg_currency[leg], p_operation_currency[operation]);
        if has_holds then held_amount := coalesce(p_leg_held_minor[leg], 0); end if;
        if (account_status[place] = 'open' and account_currency[place] = named_currency and leg_problem[leg] is null) is not true then
          words[movement] := case
            when leg_problem[leg] is not null then leg_problem[leg]
            when account_status[place] is null then 'account_not_found'
            when (account_currency[place] = named_currency) is not true then 'currency_mismatch'
            when account_status[place] = 'closed' and amount > 0 or amount < 0 or held_amount > 0 then 'account_not_usable'
          end;
          declined := words[movement] is not null;
          if declined then undo_to := leg - 1; end if;
        end if;
      end if;
      if not declined then
        posted[place] := posted[place] + amount;
        if has_holds then held[place] := held[place] + held_amount; end if;
        if amount < held_amount and posted[place] - coalesce(held[place], 0) < least[place] then short := true; end if;
        if amount <> 0 then
          total := total + amount;
          counted[place] := counted[place] + 1;
          numbered[leg] := counted[place];
          balances[leg] := posted[place];
        end if;
      end if;
      leg := leg + 1;
    end loop;
    if short and not declined then
      for at in operation_leg..leg - 1 loop
        place := p_leg_account[at];
        if posted[place] - coalesce(held[place], 0) < least[place] and p_leg_amount_minor[at] < coalesce(p_leg_held_minor[at], 0) then
          declined := true;
        end if;
      end loop;
      if declined then
        words[movement] := 'insufficient_funds';
        undo_to := leg - 1;
      end if;
    end if;
    if declined then
      all_made := false;
      for at in first_leg..coalesce(undo_to, 0) loop
        place := p_leg_account[at];
        posted[place] := posted[place] - p_leg_amount_minor[at];
        if has_holds then held[place] := held[place] - coalesce(p_leg_held_minor[at], 0); end if;
        if numbered[at] is not null then
          counted[place] := counted[place] - 1;
          numbered[at] := null;
        end if;
      end loop;
    elsif (leg = operation_leg or numbered[operation_leg] is null) and p_operation_kind[operation] not in ('hold', 'release', 'expire') then
      perform ledger.raise_unsound('entry_has_two_postings', 'entry');
    elsif total <> 0 and p_leg_currency is null then
      perform ledger.raise_unsound('entry_balances', 'posting');
    elsif p_operation_kind[operation] = 'hold' and (
        leg = operation_leg + 1 and p_leg_held_minor[operation_leg] = p_operation_amount_minor[operation] and p_leg_amount_minor[operation_leg] = 0
        and p_account_id[p_leg_account[operation_leg]] = p_operation_account_id[operation] and p_operation_amount_minor[operation] > 0) is not true then
      perform ledger.raise_unsound('held_amount_is_of_a_hold', 'hold');
    end if;
  end loop;
  if leg <= leg_count then perform ledger.raise_unsound('call_is_in_order', 'movement'); end if;
  outcome := case when all_made then array_fill('done'::text, array[movement_count])
    else array(select coalesce(word, 'done') from unnest(words) with ordinality w (word, position) order by position) end;
  if keys_are_new and p_key is not null and not all_made then
    delete from ledger.movement m using unnest(p_key, words) asked (movement_key, word)
    where m.movement_key = asked.movement_key and asked.word is not null;
  end if;
  if not 'done' = any (outcome) then return; end if;

  if exists (select from unnest(p_leg_amount_minor) l (minor) where (abs(l.minor) < 1e37 and l.minor = trunc(l.minor)) is not true)
    or exists (select from unnest(p_leg_held_minor) l (minor) where (abs(l.minor) < 1e37 and l.minor = trunc(l.minor)) is false) then
    perform ledger.raise_unsound('amount_is_a_positive_whole_number', 'posting');
  end if;
  if p_leg_currency is not null and exists (
    select from unnest(p_leg_operation, p_leg_currency, p_leg_amount_minor, numbered) l (operation, currency, amount_minor, number)
    where l.number is not null group by l.operation, coalesce(l.currency, p_operation_currency[l.operation]) having sum(l.amount_minor) <> 0) then
    perform ledger.raise_unsound('entry_balances', 'posting');
  end if;
  select min(case
      when (starts_with(o.id, 'ent_') and length(o.id) = 36) is not true then 'entry_id_is_prefixed'
      when o.kind not in ('opening', 'transfer', 'reversal', 'exchange', 'closing', 'capture', 'capture_part') then 'entry_kind_is_known'
      when o.currency is null and o.kind in ('opening', 'closing') then 'entry_of_one_currency_names_it'
      when o.kind = 'reversal' and o.target is null then 'entry_reversal_names_what_it_reverses'
      when o.value_date > today then 'entry_value_date_is_not_after_booking'
    end) into problem
  from unnest(p_operation_kind, p_operation_id, p_operation_target, p_operation_value_date, p_operation_currency) o (kind, id, target, value_date, currency)
  where o.kind not in ('hold', 'release', 'expire');
  if problem is not null then perform ledger.raise_unsound(problem, 'entry'); end if;

  with entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, reverses, hold_id, booked_at, value_date, actor, interaction_id)
    select o.id, case when o.kind in ('capture', 'capture_part') then 'transfer' else o.kind end, o.currency, o.description, o.reference, o.payment_id,
      case when o.kind = 'reversal' then o.target end, case when o.kind in ('capture', 'capture_part') then o.target end, p_now,
      coalesce(o.value_date, today), coalesce(o.actor, p_actor), o.interaction_id
    from unnest(p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_currency, p_operation_description,
        p_operation_reference, p_operation_payment_id, p_operation_value_date, p_operation_actor, p_operation_interaction_id)
        o (movement, kind, id, target, currency, description, reference, payment_id, value_date, actor, interaction_id)
    where o.kind not in ('hold', 'release', 'expire') and (all_made or words[o.movement] is null)
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select p_account_id[l.account], l.number, p_operation_id[l.operation], coalesce(l.currency, p_operation_currency[l.operation]), l.amount_minor,
      l.balance_minor, coalesce(l.name, told_name[l.other], ''),
      case when l.identification is null then told_scheme_name[l.other] else l.scheme_name end,
      coalesce(l.identification, told_identification[l.other]), booked[l.account]
    from unnest(p_leg_operation, p_leg_account, p_leg_other, p_leg_currency, p_leg_amount_minor, p_leg_name, p_leg_scheme_name, p_leg_identification,
        numbered, balances) l (operation, account, other, currency, amount_minor, name, scheme_name, identification, number, balance_minor)
    where l.number is not null
  )
  update ledger.account a
  set posted_minor = n.posted_minor, held_minor = a.held_minor + coalesce(n.held_minor, 0), posting_count = n.posting_count,
    last_booked_at = case when n.posting_count > a.posting_count then n.booked_at else a.last_booked_at end
  from unnest(p_account_id, found_at, posted, held, counted, booked) n (account_id, at, posted_minor, held_minor, posting_count, booked_at)
  -- A row that is locked stays where it is.
  where a.ctid = n.at and a.account_id = n.account_id and (n.posting_count > a.posting_count or n.held_minor <> 0);
  -- Keys that were forgotten are used anew, now that it is known for what.
  if not keys_are_new then
    with made as (
      insert into ledger.movement as m (movement_key, request_hash, made, released, made_at)
      select asked.movement_key, asked.request_hash, asked.made, asked.released, p_now
      from unnest(p_key, p_request_hash, coalesce(p_made, p_operation_id), released, words) asked (movement_key, request_hash, made, released, word)
      where asked.movement_key is not null and asked.word is null order by asked.movement_key
      on conflict on constraint movement_is_made_once do update
        set (request_hash, made, released, made_at, written_in) = (excluded.request_hash, excluded.made, excluded.released, excluded.made_at, excluded.written_in)
        where m.made_at <= p_forget_before
      returning movement_key
    )
    select (select count(*) from made), count(asked.movement_key) into keyed, keys
    from unnest(p_key, words) asked (movement_key, word) where asked.word is null;
    -- Another process made one of these under its key meanwhile. Asked again, this is seen.
    if keyed <> keys then
      raise exception 'a movement was made meanwhile under one of these keys' using errcode = '40001', constraint = 'movement_is_made_once', schema = 'ledger', table = 'movement';
    end if;
  end if;

  if has_holds then
    perform ledger.write_holds(p_now, case when not all_made then array(select word is null from unnest(words) with ordinality w (word, position) order by position) end,
      p_operation_movement, p_operation_kind, p_operation_id, p_operation_target, p_operation_account_id,
      p_operation_amount_minor, p_operation_currency, p_operation_expires_at);
  end if;
  if 'reversal' = any (p_operation_kind) and ledger.reversed_beyond(array(
      select o.target from unnest(p_operation_movement, p_operation_kind, p_operation_target) o (movement, kind, target)
      where o.kind = 'reversal' and (all_made or words[o.movement] is null))) is not null then
    perform ledger.raise_unsound('entry_is_reversed_once_over', 'entry');
  end if;
  if p_exchanges is not null then
    insert into ledger.exchange (
      entry_id, sold_currency, sold_digits, sold_minor, priced_minor, bought_currency, bought_digits, bought_minor, price_units, price_scale, source, quoted_at)
    select entry_id, sold_currency, sold_digits, sold_minor, priced_minor, bought_currency, bought_digits, bought_minor, price_units, price_scale, source, quoted_at
    from jsonb_to_recordset(p_exchanges) x (
      movement integer, entry_id text, sold_currency text, sold_digits integer, sold_minor numeric, priced_minor numeric, bought_currency text,
      bought_digits integer, bought_minor numeric, price_units numeric, price_scale integer, source text, quoted_at timestamptz)
    where all_made or words[x.movement] is null;
  end if;
  if p_record_id is not null then
    insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
    select r.id, p_now, r.actor, r.action, r.subject, r.interaction_id, r.details::jsonb
    from unnest(p_record_movement, p_record_id, p_record_actor, p_record_action, p_record_subject, p_record_interaction_id, p_record_details)
      r (movement, id, actor, action, subject, interaction_id, details)
    where all_made or words[r.movement] is null;
  end if;
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_books from %I', current_user); end if;
end $$;

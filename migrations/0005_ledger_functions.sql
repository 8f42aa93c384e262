-- The only writers of the ledger. They run as the owner of the tables (security definer), so that no process needs to be
-- granted more on them than reading. What a caller must reckon with (funds, the state of an account or hold) comes back as
-- a word; anything else raises an error that carries the name of the constraint.
--
-- Rows are locked in one order everywhere: accounts by id, then the hold. So no two of these calls deadlock.

-- Who stands at one end of an entry, as the other end is told. The two functions have no settings of their own, so that
-- they become a part of whatever calls them.
create type ledger.party as (name text, scheme_name text, identification text);

create type ledger.capture as (
  hold_id text, entry_id text, creditor_account_id text, payment_id text, description text, reference text, creditor ledger.party);

create function ledger.party_of(account ledger.account) returns ledger.party
language sql immutable as $$
  select row(
    account.holder_name,
    case when account.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when account.iban is not null then 'UK.OBIE.IBAN' end,
    coalesce(account.sort_code || account.account_number, account.iban))::ledger.party
$$;

-- What was told of them; for the rest, what their account says.
create function ledger.party_or(told ledger.party, account ledger.account) returns ledger.party
language sql immutable as $$
  select row(
    coalesce(told.name, account.holder_name),
    case when told.identification is null then (ledger.party_of(account)).scheme_name else told.scheme_name end,
    coalesce(told.identification, (ledger.party_of(account)).identification))::ledger.party
$$;

create function ledger.open_account(
  p_account_id text, p_customer_id text, p_kind text, p_currency text, p_nickname text, p_holder_name text, p_type_code text,
  p_sort_code text, p_account_number text, p_iban text, p_overdraft_minor numeric, p_now timestamptz
) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into ledger.account (
    account_id, customer_id, kind, currency, status, nickname, holder_name, type_code, sort_code, account_number, iban,
    posted_minor, held_minor, overdraft_minor, posting_count, opened_at)
  values (
    p_account_id, p_customer_id, p_kind, p_currency, 'open', p_nickname, p_holder_name, p_type_code, p_sort_code, p_account_number, p_iban,
    0, 0, p_overdraft_minor, 0, p_now)
$$;

-- numeric arguments lose their precision and scale on the way into a function: without this, 1.5 would be rounded on storing.
create function ledger.check_amount(p_amount_minor numeric) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (p_amount_minor >= 1 and p_amount_minor < 1e37 and p_amount_minor = trunc(p_amount_minor)) is not true then
    raise exception 'an amount is a positive whole number of minor units, not %', p_amount_minor
      using errcode = '23514', constraint = 'amount_is_a_positive_whole_number', schema = 'ledger', table = 'posting';
  end if;
end $$;

create function ledger.lock_account(p_account_id text, p_currency text) returns ledger.account
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  account ledger.account;
begin
  select * into account from ledger.account where account_id = p_account_id and currency = p_currency for no key update;
  if not found then
    raise exception 'no account % in %', p_account_id, p_currency
      using errcode = '23503', constraint = 'posting_currency_matches_account', schema = 'ledger', table = 'posting';
  end if;
  return account;
end $$;

-- One leg. The account is locked by the caller. Time never runs backwards on an account, even when the clocks of two
-- processes differ: a posting is booked at the time given or at that of the account's last posting, whichever is later.
create function ledger.post(p_entry_id text, p_account ledger.account, p_amount_minor numeric, p_released_minor numeric, p_counterparty ledger.party, p_now timestamptz)
returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update ledger.account
  set posted_minor = posted_minor + p_amount_minor, held_minor = held_minor - p_released_minor, posting_count = posting_count + 1
  where account_id = p_account.account_id;

  insert into ledger.posting (
    account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
    counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
  values (
    p_account.account_id, p_account.posting_count + 1, p_entry_id, p_account.currency, p_amount_minor, p_account.posted_minor + p_amount_minor,
    p_counterparty.name, p_counterparty.scheme_name, p_counterparty.identification,
    greatest(p_now, (select booked_at from ledger.posting where account_id = p_account.account_id and posting_number = p_account.posting_count)));
end $$;

-- Moves money between two accounts. A frozen account gives nothing but may be paid into; a closed one does neither.
-- p_debtor and p_creditor are what the other side reads as counterparty: the settlement account stands for many people.
create function ledger.transfer(
  p_entry_id text, p_kind text, p_from text, p_to text, p_amount_minor numeric, p_currency text, p_description text, p_reference text,
  p_debtor ledger.party, p_creditor ledger.party, p_now timestamptz
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  debtor ledger.account;
  creditor ledger.account;
begin
  perform ledger.check_amount(p_amount_minor);
  if p_from < p_to then
    debtor := ledger.lock_account(p_from, p_currency);
    creditor := ledger.lock_account(p_to, p_currency);
  elsif p_from > p_to then
    creditor := ledger.lock_account(p_to, p_currency);
    debtor := ledger.lock_account(p_from, p_currency);
  else
    raise exception 'from and to are one account'
      using errcode = '23514', constraint = 'transfer_is_between_two_accounts', schema = 'ledger', table = 'entry';
  end if;

  if debtor.status <> 'open' or creditor.status = 'closed' then return 'account_not_usable'; end if;
  if debtor.kind = 'customer' and debtor.posted_minor - debtor.held_minor + debtor.overdraft_minor < p_amount_minor then
    return 'insufficient_funds';
  end if;

  insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
  values (p_entry_id, p_kind, p_currency, p_description, p_reference, p_now, (p_now at time zone 'Europe/London')::date);
  perform ledger.post(p_entry_id, debtor, -p_amount_minor, 0, ledger.party_or(p_creditor, creditor), p_now);
  perform ledger.post(p_entry_id, creditor, p_amount_minor, 0, ledger.party_or(p_debtor, debtor), p_now);
  return 'posted';
end $$;

-- Sets funds aside. They count against what is available until the hold is captured, released or expired. Whoever may do so
-- cannot put them out of reach for long: the end is near by the caller's clock and by ours, which nobody else sets.
create function ledger.place_hold(p_hold_id text, p_account_id text, p_amount_minor numeric, p_currency text, p_now timestamptz, p_expires_at timestamptz)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account ledger.account;
begin
  perform ledger.check_amount(p_amount_minor);
  if p_expires_at > least(p_now, clock_timestamp()) + interval '7 days' then
    raise exception 'funds cannot be held until %', p_expires_at
      using errcode = '23514', constraint = 'hold_ends_within_seven_days', table = 'hold', schema = 'ledger';
  end if;
  -- Locks and decides in one: whoever waited here sees the row as the other one left it.
  update ledger.account set held_minor = held_minor + p_amount_minor
  where account_id = p_account_id and currency = p_currency and status = 'open'
    and (kind <> 'customer' or posted_minor - held_minor + overdraft_minor >= p_amount_minor);
  if not found then
    account := ledger.lock_account(p_account_id, p_currency);
    return case when account.status = 'open' then 'insufficient_funds' else 'account_not_usable' end;
  end if;

  insert into ledger.hold (hold_id, account_id, currency, amount_minor, status, created_at, expires_at)
  values (p_hold_id, p_account_id, p_currency, p_amount_minor, 'active', p_now, p_expires_at);
  return 'held';
end $$;

-- Posts exactly what was held to its creditor, and spends the hold: many at once, each with an outcome of its own. What was
-- held for a payment goes where the payment says, whatever the caller says. p_captures is an array of objects with the
-- members named in the first statement; the creditor's name and number are what the debtor's statement shows.
--
-- Plans are made while tables are small and kept: found by their keys, rows stay cheap when tables have grown.
create function ledger.capture_holds(p_captures jsonb, p_now timestamptz)
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
  wrong record;
begin
  -- What is read here of a hold never changes; its status is read again once everything is locked.
  perform from ledger.account a where a.account_id in (
    select end_account_id from unnest(asked) c join ledger.hold h using (hold_id), unnest(array[h.account_id, c.creditor_account_id]) end_account_id)
  order by a.account_id for no key update;
  perform from ledger.hold h where h.hold_id in (select c.hold_id from unnest(asked) c) order by h.hold_id for update;

  select h.hold_id, problem into wrong
  from unnest(asked) c join ledger.hold h using (hold_id)
    left join ledger.account creditor on creditor.account_id = c.creditor_account_id and creditor.currency = h.currency
    left join payments.payment p on p.payment_id = c.payment_id,
    lateral (select case
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
  with judged as materialized (
    select c.position, c.hold_id, c.entry_id, c.payment_id, c.description, c.reference, h.currency, h.amount_minor,
      h.account_id as debtor_id, creditor.account_id as creditor_id, ledger.party_of(debtor) as payer, ledger.party_or(c.told, creditor) as payee,
      case
        when h.status is distinct from 'active' then 'hold_not_active'
        when h.expires_at <= p_now then 'hold_expired'
        when debtor.status <> 'open' or creditor.status = 'closed' then 'account_not_usable'
        else 'captured' end as outcome
    from unnest(asked) with ordinality c (hold_id, entry_id, creditor_account_id, payment_id, description, reference, told, position)
      left join ledger.hold h using (hold_id)
      left join ledger.account debtor on debtor.account_id = h.account_id
      left join ledger.account creditor on creditor.account_id = c.creditor_account_id
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, booked_at, value_date)
    select entry_id, 'transfer', currency, description, reference, payment_id, p_now, (p_now at time zone 'Europe/London')::date
    from judged where outcome = 'captured' order by position
  ), leg as materialized (
    select j.position, entry_id, currency, account_id, amount, released, counterparty
    from judged j, lateral (
      values (j.debtor_id, -j.amount_minor, j.amount_minor, j.payee), (j.creditor_id, j.amount_minor, 0, j.payer)
    ) ends (account_id, amount, released, counterparty)
    where outcome = 'captured'
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select
      leg.account_id, a.posting_count + nth, leg.entry_id, leg.currency, amount, a.posted_minor + added,
      (counterparty).name, (counterparty).scheme_name, (counterparty).identification, greatest(p_now, before.booked_at)
    from (
      select leg.*, row_number() over so_far as nth, sum(amount) over so_far as added
      from leg window so_far as (partition by account_id order by position rows unbounded preceding)
    ) leg
      join ledger.account a using (account_id)
      left join ledger.posting before on (before.account_id, before.posting_number) = (a.account_id, a.posting_count)
    order by leg.account_id, nth
  ), balanced as (
    update ledger.account a
    set posted_minor = a.posted_minor + moved.amount, held_minor = a.held_minor - moved.released, posting_count = a.posting_count + moved.postings
    from (select account_id, sum(amount) as amount, sum(released) as released, count(*) as postings from leg group by account_id) moved
    where a.account_id = moved.account_id
  ), spent as (
    update ledger.hold h set status = 'captured', entry_id = j.entry_id, resolved_at = p_now
    from judged j where j.outcome = 'captured' and h.hold_id = j.hold_id
  )
  select j.hold_id, j.outcome from judged j;
end $$;

-- Gives held funds back. An 'expired' hold must have come to its end.
create function ledger.release_hold(p_hold_id text, p_status text, p_now timestamptz)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  held ledger.hold;
begin
  if (p_status in ('released', 'expired')) is not true then
    raise exception 'a hold is not released as %', p_status
      using errcode = '23514', constraint = 'hold_is_released_or_expired', schema = 'ledger', table = 'hold';
  end if;
  select * into held from ledger.hold where hold_id = p_hold_id;
  if not found then return 'hold_not_active'; end if;
  perform ledger.lock_account(held.account_id, held.currency);
  select * into held from ledger.hold where hold_id = p_hold_id for update;

  if held.status <> 'active' then return 'hold_not_active'; end if;
  if p_status = 'expired' and held.expires_at > p_now then return 'hold_not_expired'; end if;

  update ledger.account set held_minor = held_minor - held.amount_minor where account_id = held.account_id;
  update ledger.hold set status = p_status, resolved_at = p_now where hold_id = p_hold_id;
  return p_status;
end $$;

-- A second line of defence behind the functions, whoever writes. Constraint triggers run at commit, under the role that is
-- current then (before PostgreSQL 18): hence security definer.
create function ledger.entry_balances() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from ledger.posting where entry_id = new.entry_id group by currency having sum(amount_minor) <> 0) then
    raise exception 'the postings of entry % do not sum to zero', new.entry_id
      using errcode = '23514', constraint = 'entry_balances', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $$;
create constraint trigger entry_balances after insert on ledger.posting
  deferrable initially deferred for each row execute function ledger.entry_balances();

create function ledger.entry_has_two_postings() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (select count(*) from ledger.posting where entry_id = new.entry_id) < 2 then
    raise exception 'entry % has fewer than two postings', new.entry_id
      using errcode = '23514', constraint = 'entry_has_two_postings', schema = 'ledger', table = 'entry';
  end if;
  return null;
end $$;
create constraint trigger entry_has_two_postings after insert on ledger.entry
  deferrable initially deferred for each row execute function ledger.entry_has_two_postings();

-- What is booked stays booked: a correction is another entry, which names the one it reverses.
create function ledger.booking_is_immutable() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '% is never changed or removed', tg_table_name
    using errcode = '42501', constraint = tg_table_name || '_is_immutable', schema = 'ledger', table = tg_table_name;
end $$;
create trigger entry_is_immutable before update or delete or truncate on ledger.entry execute function ledger.booking_is_immutable();
create trigger posting_is_immutable before update or delete or truncate on ledger.posting execute function ledger.booking_is_immutable();

create function ledger.hold_moves_forward() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.status <> 'active' or new.status = 'active'
    or (old.hold_id, old.account_id, old.currency, old.amount_minor, old.created_at, old.expires_at)
      is distinct from (new.hold_id, new.account_id, new.currency, new.amount_minor, new.created_at, new.expires_at) then
    raise exception 'hold % cannot change from % to %', old.hold_id, old.status, new.status
      using errcode = '23514', constraint = 'hold_moves_forward', schema = 'ledger', table = 'hold';
  end if;
  return new;
end $$;
create trigger hold_moves_forward before update on ledger.hold for each row execute function ledger.hold_moves_forward();

-- Two workers that post one payment at once meet here at the latest.
create unique index entry_posts_a_payment_once on ledger.entry (payment_id) where payment_id is not null and kind <> 'reversal';

-- Whatever is asked for each payment of a call goes through its key, however few rows there are when it is planned: `offset 0` has it asked
-- for each by itself, and nothing else that has an index is asked beside the key. A plan that was made while tables were empty is kept.

create or replace function payments.payment_is_as_consented() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong text;
begin
  select n.payment_id into wrong
  from new_payment n
    left join lateral (select * from consents.consent given where given.consent_id = n.consent_id offset 0) c on true
    left join lateral (select * from ledger.account paid where paid.account_id = n.creditor_account_id offset 0) creditor on true
    left join lateral (select * from ledger.hold placed where placed.hold_id = n.hold_id offset 0) h on true
  where (
    c.status = 'COND' and c.kind = case n.channel when 'bank_api' then 'transfer' else 'domestic_payment' end
    and (c.client_id, c.customer_id, c.debtor_account_id, c.amount_minor, c.currency, c.creditor_name, c.creditor_scheme_name, c.creditor_identification)
      = (n.client_id, n.customer_id, n.debtor_account_id, n.amount_minor, n.currency, n.creditor_name, n.creditor_scheme_name, n.creditor_identification)
    and case
      when c.creditor_account_id is not null then creditor.account_id = c.creditor_account_id
      when creditor.account_number is null and creditor.iban is null then creditor.kind = 'settlement' and creditor.currency = c.currency
      when c.creditor_scheme_name = 'UK.OBIE.IBAN' then creditor.iban = upper(replace(c.creditor_identification, ' ', ''))
      else creditor.sort_code || creditor.account_number = c.creditor_identification
    end
    and case when n.hold_id is null then n.status = 'rejected'
      else (h.account_id, h.currency, h.amount_minor, h.status) = (n.debtor_account_id, n.currency, n.amount_minor, 'active') end
  ) is not true limit 1;
  if found then
    raise exception 'payment % differs from its consent', wrong
      using errcode = '23514', constraint = 'payment_is_as_consented', table = 'payment', schema = 'payments';
  end if;
  return null;
end $$;

-- The same as place_hold for many: each is held or declined as if after those before it, and one that is declined takes nothing from
-- the next. Accounts are locked in the order of their ids.
create or replace function ledger.place_holds(
  p_hold_id text[], p_account_id text[], p_amount_minor numeric[], p_currency text[], p_now timestamptz, p_expires_at timestamptz
) returns text[] language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  outcomes text[];
  all_known boolean;
  all_funded boolean;
  current_id text;
  available numeric;
  step record;
begin
  if exists (select from unnest(p_amount_minor) amount_minor where (amount_minor >= 1 and amount_minor < 1e37 and amount_minor = trunc(amount_minor)) is not true) then
    raise exception 'an amount is a positive whole number of minor units'
      using errcode = '23514', constraint = 'amount_is_a_positive_whole_number', schema = 'ledger', table = 'posting';
  end if;
  if p_expires_at > least(p_now, clock_timestamp()) + interval '7 days' then
    raise exception 'funds cannot be held until %', p_expires_at
      using errcode = '23514', constraint = 'hold_ends_within_seven_days', table = 'hold', schema = 'ledger';
  end if;
  perform from ledger.account a where a.account_id = any (p_account_id) order by a.account_id for no key update;

  -- As if all could be held.
  select array_agg(outcome order by position), bool_and(outcome is not null), bool_and(outcome <> 'insufficient_funds')
  into outcomes, all_known, all_funded
  from (
    select asked.position, case
        when a.account_id is null then null
        when a.status <> 'open' then 'account_not_usable'
        when a.kind = 'customer' and a.posted_minor - a.held_minor + a.overdraft_minor
          < sum(asked.amount_minor) over (partition by asked.account_id order by asked.position) then 'insufficient_funds'
        else 'held'
      end as outcome
    from unnest(p_account_id, p_amount_minor, p_currency) with ordinality asked (account_id, amount_minor, currency, position)
      left join lateral (
        select * from ledger.account known where known.account_id = asked.account_id and known.currency = asked.currency offset 0) a on true) judged;
  if all_known is not true then
    raise exception 'no such account in this currency'
      using errcode = '23503', constraint = 'hold_currency_matches_account', table = 'hold', schema = 'ledger';
  end if;
  if not all_funded then
    for step in
      select asked.position, asked.account_id, asked.amount_minor, a.posted_minor - a.held_minor + a.overdraft_minor as available
      from unnest(p_account_id, p_amount_minor) with ordinality asked (account_id, amount_minor, position) join ledger.account a using (account_id)
      where a.kind = 'customer' and a.status = 'open' order by asked.account_id, asked.position
    loop
      if step.account_id is distinct from current_id then
        current_id := step.account_id;
        available := step.available;
      end if;
      outcomes[step.position] := case when step.amount_minor <= available then 'held' else 'insufficient_funds' end;
      if step.amount_minor <= available then available := available - step.amount_minor; end if;
    end loop;
  end if;

  with placed as (
    insert into ledger.hold (hold_id, account_id, currency, amount_minor, status, created_at, expires_at)
    select asked.hold_id, asked.account_id, asked.currency, asked.amount_minor, 'active', p_now, p_expires_at
    from unnest(p_hold_id, p_account_id, p_currency, p_amount_minor, outcomes) asked (hold_id, account_id, currency, amount_minor, outcome)
    where asked.outcome = 'held'
  )
  update ledger.account a set held_minor = a.held_minor + held.amount_minor
  from (
    select asked.account_id, sum(asked.amount_minor) as amount_minor
    from unnest(p_account_id, p_amount_minor, outcomes) asked (account_id, amount_minor, outcome) where asked.outcome = 'held' group by asked.account_id) held
  where a.account_id = held.account_id and a.account_id = any (p_account_id);
  return outcomes;
end $$;


-- As its name says, once for all holds of a statement: a key would be looked up for each, and would lock the account once more.
alter table ledger.hold drop constraint hold_currency_matches_account;
create function ledger.hold_currency_matches_account() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from new_hold n
    where not exists (select from ledger.account a where a.account_id = n.account_id and a.currency = n.currency offset 0)) then
    raise exception 'a hold is not in the currency of its account'
      using errcode = '23503', constraint = 'hold_currency_matches_account', table = 'hold', schema = 'ledger';
  end if;
  return null;
end $$;
create trigger hold_currency_matches_account after insert on ledger.hold
  referencing new table as new_hold for each statement execute function ledger.hold_currency_matches_account();
revoke execute on function ledger.hold_currency_matches_account from public;

-- Submits payments: members of p_submissions are named in the second statement, p_consent_id are the consents that they name. No two may
-- name one consent, or one key. Each is refused, replayed, rejected or accepted on its own; what is refused leaves nothing behind, its key
-- neither. Consents, then customers where limits count, then accounts, then keys are locked in their order, so calls never wait for each
-- other in a ring.
--
-- Client, grant and token are asked for once more: a payment that waited does not outlast what it was asked with.
create or replace function payments.submit(
  p_submissions jsonb, p_consent_id text[], p_now timestamptz, p_unused_since timestamptz, p_forget_before timestamptz, p_deadline_at timestamptz
) returns table (
  word text, resource_id text, rejection_reason text, limit_id text, customer_id text, debtor_account_id text, creditor_account_id text, creditor_is_ours boolean,
  creditor_name text, creditor_scheme_name text, creditor_identification text, amount_minor numeric, currency text,
  instruction_identification text, end_to_end_identification text, reference text, asks_for_refund boolean
) language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  submissions payments.submission[];
  due integer;
  claimed integer;
  -- By position: null for what is held, and where no limit is in the way.
  reasons text[] := '{}';
  limit_ids text[] := '{}';
  positions integer[];
  consent_ids text[];
  channels text[];
  hold_ids text[];
  account_ids text[];
  amounts numeric[];
  currencies text[];
  outcomes text[];
begin
  perform from consents.consent c where c.consent_id = any (p_consent_id) order by c.consent_id for no key update;

  select array_agg(row(
      asked.position, judged.word, used.resource_id,
      case
        when creditor.kind = 'settlement' and creditor.account_number is null and creditor.iban is null and exists (
          select from ledger.account ours where ours.sort_code = case c.creditor_scheme_name
            when 'UK.OBIE.SortCodeAccountNumber' then left(c.creditor_identification, 6)
            when 'UK.OBIE.IBAN' then substring(upper(replace(c.creditor_identification, ' ', '')) from '^GB\d{2}[A-Z]{4}(\d{6})\d{8}$') end) then 'AC01'
        when creditor.status = 'closed' then 'AC07'
        when creditor.currency <> c.currency then 'AC11'
      end,
      asked.payment_id, asked.hold_id, asked.client_id, asked.consent_id, c.customer_id, asked.channel, c.debtor_account_id,
      creditor.account_id, creditor.kind = 'customer' or creditor.account_number is not null, c.creditor_name, c.creditor_scheme_name, c.creditor_identification,
      c.amount_minor, c.currency, (c.amount_minor * ('1e-' || money.minor_digits)::numeric)::text,
      coalesce(c.request #>> '{Data,Initiation,InstructionIdentification}', asked.own_identification),
      coalesce(c.request #>> '{Data,Initiation,EndToEndIdentification}', asked.own_identification),
      coalesce(c.reference, case asked.channel when 'bank_api' then asked.initiation ->> 'reference' end, ''),
      c.request #>> '{Data,ReadRefundAccount}' = 'Yes', asked.interaction_id, asked.method, asked.endpoint, asked.key, decode(asked.request_hash, 'hex'),
      asked.consumed_event_id, asked.payment_event_id, asked.consumed_record_id, asked.payment_record_id
    )::payments.submission order by asked.position)
  into submissions
  from jsonb_to_recordset(p_submissions) asked (
      position integer, payment_id text, hold_id text, client_id text, consent_id text, token_hash text, channel text, initiation jsonb,
      own_identification text, interaction_id text, method text, endpoint text, key text, request_hash text,
      consumed_event_id text, payment_event_id text, consumed_record_id text, payment_record_id text)
    left join lateral (select client.status from clients.client where client.client_id = asked.client_id offset 0) cl on true
    left join lateral (select * from consents.consent given where given.consent_id = asked.consent_id offset 0) c on true
    left join lateral (
      select behind.client_id, behind.revoked_at, behind.expires_at from oidc.grant behind where behind.grant_id = c.grant_id offset 0) g on true
    left join lateral (
      select claimed.created_at > p_forget_before as remembered, claimed.request_hash, claimed.resource_id from payments.idempotent_request claimed
      where (claimed.client_id, claimed.method, claimed.endpoint, claimed.key) = (asked.client_id, asked.method, asked.endpoint, asked.key)
      offset 0) used on true
    left join lateral (select known.minor_digits from ledger.currency known where known.currency = c.currency offset 0) money on true
    left join lateral (select * from ledger.account payee where payee.account_id = coalesce(
      c.creditor_account_id,
      case c.creditor_scheme_name
        when 'UK.OBIE.SortCodeAccountNumber' then (
          select named.account_id from ledger.account named
          where named.sort_code = left(c.creditor_identification, 6) and named.account_number = substr(c.creditor_identification, 7))
        when 'UK.OBIE.IBAN' then (
          select named.account_id from ledger.account named where named.iban = upper(replace(c.creditor_identification, ' ', '')))
      end,
      (select settlement.account_id from ledger.account settlement
        where settlement.kind = 'settlement' and settlement.account_number is null and settlement.iban is null and settlement.currency = c.currency
        order by settlement.account_id limit 1)) offset 0) creditor on true
    cross join lateral (select case
      when cl.status is distinct from 'active' then 'client_blocked'
      when asked.token_hash is not null and exists (select from oidc.revoked_token r where r.token_hash = decode(asked.token_hash, 'hex')) then 'grant_revoked'
      when c.client_id = asked.client_id and c.grant_id is not null and (g.client_id = c.client_id and g.revoked_at is null and g.expires_at > p_now) is not true
        then 'grant_revoked'
      when used.remembered then case when used.request_hash = decode(asked.request_hash, 'hex') then 'replayed' else 'idempotency_key_reused' end
      when c.consent_id is null then 'consent_not_found'
      when c.client_id <> asked.client_id then 'consent_not_yours'
      when c.deleted_at is not null then 'consent_not_found'
      when c.kind = 'account_access' then 'consent_not_authorised'
      when c.status = 'COND' then 'consent_already_used'
      when c.authorised_at <= p_unused_since then 'consent_not_authorised'
      when (c.status = 'AUTH' and c.customer_id is not null and c.debtor_account_id is not null and c.grant_id is not null) is not true
        then 'consent_not_authorised'
      when case asked.channel
        when 'uk_v4' then c.kind = 'domestic_payment' and asked.initiation = jsonb_build_object('Initiation', c.request #> '{Data,Initiation}')
          || case when c.request ? 'Risk' then jsonb_build_object('Risk', c.request -> 'Risk') else '{}' end
        when 'bank_api' then c.kind = 'transfer' and (asked.initiation ->> 'amount_minor')::numeric = c.amount_minor and asked.initiation ->> 'currency' = c.currency
          and asked.initiation ->> 'debtor_account_id' = c.debtor_account_id
          and asked.initiation ->> 'creditor_account_id' = c.request #>> '{creditorAccount,account_id}'
          and (not c.request ? 'remittanceInformation' or asked.initiation ->> 'reference' = c.request ->> 'remittanceInformation')
        end is not true then 'consent_mismatch'
      when creditor.account_id = c.debtor_account_id then 'account_not_usable'
      end) judged (word);

  select count(*) into due from unnest(submissions) s where s.word is null;
  select array_agg(s.position order by s.position), array_agg(s.consent_id order by s.position), array_agg(s.channel order by s.position),
    array_agg(s.hold_id order by s.position), array_agg(s.debtor_account_id order by s.position), array_agg(s.amount_minor order by s.position),
    array_agg(s.currency order by s.position)
  into positions, consent_ids, channels, hold_ids, account_ids, amounts, currencies
  from unnest(submissions) s where s.word is null and s.reason is null;
  if positions is not null then
    outcomes := payments.limits_in_the_way(p_now, consent_ids, channels);
    if array_remove(outcomes, null) <> '{}' then
      select array_agg(o.limit_id order by s.position) into limit_ids
      from unnest(submissions) s left join unnest(positions, outcomes) o (position, limit_id) using (position);
      select array_agg(s.position order by s.position), array_agg(s.hold_id order by s.position), array_agg(s.debtor_account_id order by s.position),
        array_agg(s.amount_minor order by s.position), array_agg(s.currency order by s.position)
      into positions, hold_ids, account_ids, amounts, currencies
      from unnest(submissions) s where s.word is null and s.reason is null and limit_ids[s.position] is null;
    end if;
    outcomes := case when positions is not null then ledger.place_holds(hold_ids, account_ids, amounts, currencies, p_now, p_deadline_at) end;
  end if;
  -- What has no funds counts towards no limit, and was counted.
  if limit_ids <> '{}' and 'insufficient_funds' = any (outcomes) then
    raise exception 'whether a limit is in the way is to be asked one by one'
      using errcode = '23514', constraint = 'limited_without_funds_alone', table = 'payment', schema = 'payments';
  end if;
  if due > coalesce(cardinality(positions), 0) or outcomes && '{insufficient_funds,account_not_usable}' then
    select array_agg(coalesce(s.reason,
        (select case l.period when 'payment' then 'AM02' else 'AM14' end from payments.spending_limit l where l.limit_id = limit_ids[s.position]),
        case o.outcome
          when 'insufficient_funds' then 'AM04'
          when 'account_not_usable' then (select case a.status when 'closed' then 'AC04' else 'AC06' end from ledger.account a where a.account_id = s.debtor_account_id)
        end) order by s.position)
    into reasons
    from unnest(submissions) s left join unnest(positions, outcomes) o (position, outcome) using (position);
  end if;

  if due > 0 then
    -- Only a key may still be waited for, and not for long: its first request is then still running.
    perform set_config('lock_timeout', '250ms', true);
    with made as (
      select s.*, reasons[s.position] as why, limit_ids[s.position] as limit_id, case when reasons[s.position] is null then 'held' else 'rejected' end as status
      from unnest(submissions) s where s.word is null
    ), consumed as (
      update consents.consent c set status = 'COND', status_updated_at = p_now, status_reason_code = 'U038',
        status_reason_description = 'The consent was used for a payment'
      from made where c.consent_id = made.consent_id
    ), paid as (
      insert into payments.payment (
        payment_id, consent_id, client_id, customer_id, channel, status, status_updated_at, rejection_reason, limit_id, debtor_account_id,
        creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
        instruction_identification, end_to_end_identification, reference, hold_id, created_at, deadline_at)
      select payment_id, consent_id, client_id, customer_id, channel, status, p_now, why, limit_id, debtor_account_id,
        creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
        instruction_identification, end_to_end_identification, reference, case status when 'held' then hold_id end, p_now,
        case status when 'held' then p_deadline_at else p_now end
      from made
    ), told as (
      insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, next_attempt_at)
      select told.event_id, told.type, told.subject, client_id, customer_id, jsonb_strip_nulls(told.payload), p_now, 0, p_now
      from made cross join lateral (values
        (consumed_event_id, 'consent.consumed', consent_id, jsonb_build_object(
          'kind', case channel when 'bank_api' then 'transfer' else 'domestic_payment' end, 'status', 'COND', 'reason', 'U038')),
        (payment_event_id, 'payment.' || status, payment_id, jsonb_build_object(
          'paymentId', payment_id, 'consentId', consent_id, 'status', status, 'reason', why, 'amount', amount, 'currency', currency,
          'creditorName', creditor_name))) told (event_id, type, subject, payload)
    ), recorded as (
      insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
      select recorded.record_id, p_now, client_id, recorded.action, recorded.subject, interaction_id, recorded.details
      from made cross join lateral (values
        (consumed_record_id, 'consent.consumed', consent_id, jsonb_build_object(
          'kind', case channel when 'bank_api' then 'transfer' else 'domestic_payment' end, 'status', 'COND', 'reason', 'U038')),
        (payment_record_id, 'payment.submitted', payment_id, jsonb_build_object(
          'consentId', consent_id, 'customerId', customer_id, 'status', status, 'reason', why)
          || case when limit_id is null then '{}' else jsonb_build_object('limit', limit_id) end)) recorded (record_id, action, subject, details)
    ), claimed as (
      insert into payments.idempotent_request as r (client_id, method, endpoint, key, request_hash, resource_id, created_at)
      select client_id, method, endpoint, key, request_hash, payment_id, p_now from made order by client_id, method, endpoint, key
      on conflict on constraint idempotent_request_is_claimed_once
        do update set request_hash = excluded.request_hash, resource_id = excluded.resource_id, created_at = excluded.created_at
        where r.created_at <= p_forget_before
      returning 1
    )
    select count(*) into claimed from claimed;
    -- Another process claimed one of these keys while this call waited for it. Asked again, this is seen.
    if claimed <> due then
      raise exception 'a key was claimed meanwhile' using errcode = '40001', constraint = 'idempotent_request_is_claimed_once',
        table = 'idempotent_request', schema = 'payments';
    end if;
  end if;

  return query
    select s.word, s.resource_id, reasons[s.position], limit_ids[s.position], s.customer_id, s.debtor_account_id, s.creditor_account_id, s.creditor_is_ours,
      s.creditor_name, s.creditor_scheme_name, s.creditor_identification, s.amount_minor, s.currency,
      s.instruction_identification, s.end_to_end_identification, s.reference, s.asks_for_refund
    from unnest(submissions) s order by s.position;
end $$;

-- What PostgreSQL prepares for a call costs more than the payments of a small one. So: fewer statements, arrays instead of queries where nothing
-- is read, and what is the same for every payment is written as it is.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_payments to %I', current_user); end if;
end $$;

-- The same verdicts with less: each rule is looked at once for each payment, and PostgreSQL makes the function part of the query that asks (no
-- settings of its own, and every name is said with its schema).
drop function payments.assess;
create function payments.assess(p_payments payments.assessable[]) returns table (
  "position" integer, verdict text, score integer, reasons jsonb, new_payee boolean, new_device boolean
) language sql stable as $$
  select f.position, case when s.score >= t.refuse_from then 'refuse' when s.score >= t.review_from then 'review' else 'pass' end, s.score, s.reasons,
    f.new_payee, f.new_device
  from (
      select p.position, div(p.amount_minor, unit) as amount,
        div(lately.spent_minor + case when p.is_counted then 0 else p.amount_minor end, unit) as paid_in_a_day,
        lately.payments + (not p.is_counted)::integer as payments_in_an_hour,
        not exists (
          select from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'payee' and k.fingerprint = p.payee) as new_payee,
        not exists (
          select from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'device' and k.fingerprint = p.device) as new_device,
        extract(hour from p.made_at at time zone 'Europe/London') as hour
      from unnest(p_payments) p
        cross join lateral (select ('1e' || p.minor_digits)::numeric as unit) units
        cross join lateral (
          select coalesce(sum(s.spent_minor), 0) as spent_minor,
            coalesce(sum(s.payment_count) filter (where s.hour >= date_trunc('hour', p.made_at, 'UTC') - interval '1 hour'), 0) as payments
          from payments.spent s where s.account_id = p.account_id and s.hour > p.made_at - interval '24 hours') lately
      offset 0) f
    cross join (
      select min(h.at_least) filter (where h.verdict = 'refuse') as refuse_from, min(h.at_least) filter (where h.verdict = 'review') as review_from
      from payments.risk_threshold h) t
    cross join lateral (
      select greatest(coalesce(sum(r.points), 0), 0)::integer as score,
        coalesce(jsonb_agg(jsonb_build_object('rule', r.rule_id, 'points', r.points, 'words', r.words, 'fact', r.value::text)
          order by abs(r.points) desc, r.rule_id), '[]') as reasons
      from (
        select rule.*, case rule.fact when 'amount' then f.amount when 'paid_in_a_day' then f.paid_in_a_day when 'payments_in_an_hour' then f.payments_in_an_hour
          when 'new_payee' then f.new_payee::integer when 'new_device' then f.new_device::integer when 'hour' then f.hour end as value
        from payments.risk_rule rule) r
      where (r.at_least is null or r.value >= r.at_least) and (r.below is null or r.value < r.below)) s
$$;
revoke execute on function payments.assess from public;
grant execute on function payments.assess to bankside_worker, bankside_payments;

drop function payments.lock_parties;
-- Locks whose money it is and where it goes, each in the order of ids, so that whatever is found out from here on stands: customers where
-- something is counted for them. Answers with the accounts in that order, and those that take nothing until they are reconciled.
create type payments.parties as (account_ids text[], frozen text[], straight_through boolean, limited boolean);
create function payments.lock_parties(p_customer_id text[], p_account_id text[]) returns payments.parties
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  limits record;
  parties payments.parties;
begin
  select count(*) > 0 as there, coalesce(bool_or(scope = 'customer' and period <> 'payment'), false) as of_customers into limits
  from payments.spending_limit where ended_at is null;
  if limits.of_customers then
    perform from customers.customer c where c.customer_id = any (p_customer_id) order by c.customer_id for no key update;
  end if;
  select array_agg(a.account_id), coalesce(array_agg(a.account_id) filter (where a.frozen_for is not null), '{}'),
    (select is_on from payments.straight_through), limits.there
  into parties
  from (select account_id, frozen_for from ledger.account where account_id = any (p_account_id) order by account_id for no key update) a;
  return parties;
end $$;
revoke usage on type payments.parties from public;
revoke execute on function payments.lock_parties from public;
grant usage on type payments.parties to bankside_payments;
grant execute on function payments.lock_parties to bankside_payments;

-- Submits payments: members of p_submissions are named in the second statement, p_consent_id are the consents that they name. No two may
-- name one consent, or one key. Each is refused, replayed, rejected, held or posted on its own, as if they had come one after another; what is
-- refused leaves nothing behind, its key neither. Consents, then customers where limits count, then accounts, then keys are locked in their
-- order, so calls never wait for each other in a ring.
--
-- Client, grant and token are asked for once more: a payment that waited does not outlast what it was asked with.
--
-- Where a customer has several in a call none of it is posted at once: what the check would say of the next depends on those before. What the
-- check refuses or would have a person look at is held, and left to the worker, who asks again.
create or replace function payments.submit(
  p_submissions jsonb, p_consent_id text[], p_now timestamptz, p_unused_since timestamptz, p_forget_before timestamptz, p_deadline_at timestamptz
) returns table (
  word text, resource_id text, status text, rejection_reason text, limit_id text, customer_id text, debtor_account_id text, creditor_account_id text,
  creditor_is_ours boolean, creditor_name text, creditor_scheme_name text, creditor_identification text, amount_minor numeric, currency text,
  instruction_identification text, end_to_end_identification text, reference text, asks_for_refund boolean
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  submissions payments.submission[];
  due integer;
  claimed integer;
  -- By position: null for what is held or posted, and where no limit is in the way.
  reasons text[] := '{}';
  limit_ids text[] := '{}';
  -- By position, of what is posted at once: the score, its reasons, and whether payee and device are new.
  scores integer[] := '{}';
  score_reasons jsonb[] := '{}';
  new_payees boolean[] := '{}';
  new_devices boolean[] := '{}';
  -- By position, and what the ledger said.
  outcomes text[] := '{}';
  said text[];
  positions integer[];
  found record;
  parties payments.parties;
  assessed record;
  passed text[] := '{}';
  of_run integer[];
  first integer := 1;
  last integer;
  all_done boolean := true;
begin
  perform from consents.consent c where c.consent_id = any (p_consent_id) order by c.consent_id for no key update;

  select array_agg(s order by (s).position) as submissions,
    count(*) filter (where (s).word is null) as due,
    array_agg((s).position order by (s).position) filter (where (s).word is null and (s).reason is null) as positions,
    array_agg((s).consent_id order by (s).position) filter (where (s).word is null and (s).reason is null) as consent_ids,
    array_agg((s).channel order by (s).position) filter (where (s).word is null and (s).reason is null) as channels,
    array_agg(row((s).position, (s).customer_id, (s).debtor_account_id, (s).amount_minor, (s).minor_digits,
      (s).creditor_scheme_name || ' ' || (s).creditor_identification, (s).device, p_now, false)::payments.assessable order by (s).position)
      filter (where (s).word is null and (s).reason is null and (s).entry_id is not null) as candidates,
    count((s).customer_id) = count(distinct (s).customer_id) as each_alone,
    payments.lock_parties(
      array_agg((s).customer_id) filter (where (s).word is null and (s).reason is null),
      array_agg((s).debtor_account_id) filter (where (s).word is null and (s).reason is null)
        || array_agg((s).creditor_account_id) filter (where (s).word is null and (s).reason is null)) as parties
  into found
  from (
    select row(
        asked.position, judged.word, used.resource_id,
        case
          when creditor.kind = 'settlement' and creditor.account_number is null and creditor.iban is null and exists (
            select from ledger.account ours where ours.sort_code = case c.creditor_scheme_name
              when 'UK.OBIE.SortCodeAccountNumber' then left(c.creditor_identification, 6)
              when 'UK.OBIE.IBAN' then substring(upper(replace(c.creditor_identification, ' ', '')) from '^GB\d{2}[A-Z]{4}(\d{6})\d{8}$') end) then 'AC01'
          when creditor.status = 'closed' then 'AC07'
          when creditor.currency <> c.currency then 'AC11'
        end,
        asked.payment_id, asked.hold_id, asked.entry_id, asked.client_id, asked.consent_id, c.customer_id, c.authorised_device, asked.channel, c.debtor_account_id,
        creditor.account_id, creditor.kind = 'customer' or creditor.account_number is not null, c.creditor_name, c.creditor_scheme_name, c.creditor_identification,
        c.amount_minor, money.minor_digits, c.currency,
        coalesce(c.request #>> '{Data,Initiation,InstructionIdentification}', asked.own_identification),
        coalesce(c.request #>> '{Data,Initiation,EndToEndIdentification}', asked.own_identification),
        coalesce(c.reference, case asked.channel when 'bank_api' then asked.initiation ->> 'reference' end, ''),
        c.request #>> '{Data,ReadRefundAccount}' = 'Yes', asked.interaction_id, asked.method, asked.endpoint, asked.key, decode(asked.request_hash, 'hex'),
        asked.consumed_event_id, asked.payment_event_id, asked.consumed_record_id, asked.payment_record_id
      )::payments.submission as s
    from jsonb_to_recordset(p_submissions) asked (
        position integer, payment_id text, hold_id text, entry_id text, client_id text, consent_id text, token_hash text, channel text, initiation jsonb,
        own_identification text, interaction_id text, method text, endpoint text, key text, request_hash text,
        consumed_event_id text, payment_event_id text, consumed_record_id text, payment_record_id text)
      left join lateral (select client.status from clients.client where client.client_id = asked.client_id offset 0) cl on true
      left join lateral (select * from consents.consent given where given.consent_id = asked.consent_id offset 0) c on true
      left join lateral (
        select behind.client_id, behind.revoked_at, behind.expires_at from oidc.grant behind where behind.grant_id = c.grant_id offset 0) g on true
      left join lateral (
        select claimed.created_at > p_forget_before as remembered, claimed.request_hash, claimed.resource_id from payments.idempotent_request claimed
        where (claimed.client_id, claimed.method, claimed.endpoint, claimed.key) = (asked.client_id, asked.method, asked.endpoint, asked.key)
        order by claimed.created_at desc limit 1) used on true
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
        end) judged (word)
    offset 0) read;
  submissions := found.submissions;
  due := found.due;
  positions := found.positions;
  parties := found.parties;

  if positions is not null then
    if parties.limited then
      said := payments.limits_in_the_way(p_now, found.consent_ids, found.channels);
    end if;
    if array_remove(said, null) <> '{}' then
      select array_agg(o.limit_id order by s.position) into limit_ids
      from unnest(submissions) s left join unnest(positions, said) o (position, limit_id) using (position);
      positions := array(select position from unnest(positions) position where limit_ids[position] is null order by position);
    end if;
    if found.each_alone and parties.straight_through then
      for assessed in select * from payments.assess(found.candidates) loop
        if assessed.verdict = 'pass' and (parties.frozen = '{}' or submissions[assessed.position].creditor_account_id <> all (parties.frozen)) then
          passed[assessed.position] := assessed.verdict;
          scores[assessed.position] := assessed.score;
          score_reasons[assessed.position] := assessed.reasons;
          new_payees[assessed.position] := assessed.new_payee;
          new_devices[assessed.position] := assessed.new_device and submissions[assessed.position].device is not null;
        end if;
      end loop;
    end if;
    -- What is posted and what is held, each run of them in one call, in the order in which they came.
    while first <= cardinality(positions) loop
      last := first;
      while last < cardinality(positions) and (passed[positions[last + 1]] is null) = (passed[positions[first]] is null) loop
        last := last + 1;
      end loop;
      of_run := positions[first:last];
      if passed[positions[first]] is not null then
        select (ledger.write(
            p_now, '-infinity', null, null, null, null, parties.account_ids, o.movements, o.kinds, o.entry_ids, null, null, null, o.currencies, null, null, null,
            o.descriptions, o.reference_texts, o.payment_ids, null, null, null, null,
            o.legs_of, o.places, o.other_places, null, o.amounts, null, o.names, o.scheme_names, o.identifications)).outcome
        into said
        from (
          select
            array_agg(number order by number, leg) filter (where leg = 1) as movements,
            array_agg('transfer'::text order by number, leg) filter (where leg = 1) as kinds,
            array_agg(s.entry_id order by number, leg) filter (where leg = 1) as entry_ids,
            array_agg(s.currency order by number, leg) filter (where leg = 1) as currencies,
            array_agg(case s.channel when 'bank_api' then 'Transfer' else 'Open banking payment' end order by number, leg) filter (where leg = 1) as descriptions,
            array_agg(coalesce(nullif(s.reference, ''), s.end_to_end_identification) order by number, leg) filter (where leg = 1) as reference_texts,
            array_agg(s.payment_id order by number, leg) filter (where leg = 1) as payment_ids,
            array_agg(number order by number, leg) as legs_of,
            array_agg(array_position(parties.account_ids, case leg when 1 then s.debtor_account_id else s.creditor_account_id end) order by number, leg) as places,
            array_agg(array_position(parties.account_ids, case leg when 1 then s.creditor_account_id else s.debtor_account_id end) order by number, leg) as other_places,
            array_agg(case leg when 1 then -s.amount_minor else s.amount_minor end order by number, leg) as amounts,
            array_agg(case leg when 1 then s.creditor_name end order by number, leg) as names,
            -- Of an account here the ledger knows the number itself.
            array_agg(case when leg = 1 and not s.creditor_is_ours then s.creditor_scheme_name end order by number, leg) as scheme_names,
            array_agg(case when leg = 1 and not s.creditor_is_ours then s.creditor_identification end order by number, leg) as identifications
          from unnest(submissions) s cross join (values (1), (2)) legs (leg) cross join lateral (select array_position(of_run, s.position) as number) numbered
          where number is not null) o;
      else
        select ledger.place_holds(array_agg(s.hold_id order by s.position), array_agg(s.debtor_account_id order by s.position),
          array_agg(s.amount_minor order by s.position), array_agg(s.currency order by s.position), p_now, p_deadline_at)
        into said from unnest(submissions) s where s.position = any (of_run);
      end if;
      for number in 1..cardinality(of_run) loop
        outcomes[of_run[number]] := said[number];
        all_done := all_done and said[number] in ('done', 'held');
      end loop;
      first := last + 1;
    end loop;
  end if;
  -- What has no funds counts towards no limit, and was counted.
  if limit_ids <> '{}' and 'insufficient_funds' = any (outcomes) then
    raise exception 'whether a limit is in the way is to be asked one by one'
      using errcode = '23514', constraint = 'limited_without_funds_alone', table = 'payment', schema = 'payments';
  end if;
  if due > coalesce(cardinality(positions), 0) or not all_done then
    select array_agg(coalesce(s.reason,
        (select case l.period when 'payment' then 'AM02' else 'AM14' end from payments.spending_limit l where l.limit_id = limit_ids[s.position]),
        case outcomes[s.position]
          when 'insufficient_funds' then 'AM04'
          when 'account_not_usable' then (
            select case a.status when 'open' then 'AC07' when 'closed' then 'AC04' else 'AC06' end from ledger.account a where a.account_id = s.debtor_account_id)
        end) order by s.position)
    into reasons
    from unnest(submissions) s;
  end if;
  if not all_done then
    if exists (select from unnest(outcomes) outcome where outcome not in ('done', 'held', 'insufficient_funds', 'account_not_usable')) then
      raise exception 'the ledger says % of a payment', outcomes
        using errcode = '23514', constraint = 'payment_is_as_consented', table = 'payment', schema = 'payments';
    end if;
  end if;

  if due > 0 then
    -- Only a key may still be waited for, and not for long: its first request is then still running.
    said[1] := set_config('lock_timeout', '250ms', true);
    if true = any (new_payees) or true = any (new_devices) then
      insert into payments.known_to_customer (customer_id, kind, fingerprint, first_paid_at)
      select distinct s.customer_id, known.kind, known.fingerprint, p_now
      from unnest(submissions) s cross join lateral (values
        ('payee', s.creditor_scheme_name || ' ' || s.creditor_identification, new_payees[s.position]), ('device', s.device, new_devices[s.position]))
        known (kind, fingerprint, is_new)
      where known.is_new and outcomes[s.position] = 'done' order by 1, 2, 3
      on conflict do nothing;
    end if;
    with made as (
      select s.*, reasons[s.position] as why, limit_ids[s.position] as limit_id,
        case when reasons[s.position] is not null then 'rejected' when passed[s.position] is not null then 'posted' else 'held' end as status,
        case s.channel
          when 'bank_api' then '{"kind": "transfer", "status": "COND", "reason": "U038"}'::jsonb
          else '{"kind": "domestic_payment", "status": "COND", "reason": "U038"}'
        end as consumed
      from unnest(submissions) s where s.word is null
    ), consumed as (
      update consents.consent c set status = 'COND', status_updated_at = p_now, status_reason_code = 'U038',
        status_reason_description = 'The consent was used for a payment'
      from made where c.consent_id = made.consent_id
    ), paid as (
      insert into payments.payment (
        payment_id, consent_id, client_id, customer_id, channel, status, step, status_updated_at, rejection_reason, limit_id, debtor_account_id,
        creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
        instruction_identification, end_to_end_identification, reference, hold_id, entry_id, risk_score, risk_reasons, created_at, deadline_at)
      select payment_id, consent_id, client_id, customer_id, channel, status, case status when 'held' then 'checks' end, p_now, why, limit_id,
        debtor_account_id, creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
        instruction_identification, end_to_end_identification, reference, case status when 'held' then hold_id end,
        case status when 'posted' then entry_id end, case status when 'posted' then scores[position] end,
        case status when 'posted' then score_reasons[position] end, p_now, case status when 'held' then p_deadline_at else p_now end
      from made
    ), counted as (
      insert into payments.spent as s (account_id, hour, channel, spent_minor, payment_count)
      select debtor_account_id, date_trunc('hour', p_now, 'UTC'), channel, sum(amount_minor), count(*)
      from made where status <> 'rejected' group by 1, 2, 3 order by 1, 2, 3
      on conflict on constraint spent_is_counted_by_hour do update
        set spent_minor = s.spent_minor + excluded.spent_minor, payment_count = s.payment_count + excluded.payment_count
    ), events as (
      select event.*, client_id
      from made cross join lateral (values
        -- Of a consent that was used for a payment its customer is told by the payment.
        (consumed_event_id, 'consent.consumed', consent_id, null, consumed),
        (payment_event_id, 'payment.' || status, payment_id, customer_id, jsonb_strip_nulls(jsonb_build_object(
          'paymentId', payment_id, 'consentId', consent_id, 'status', status, 'reason', why,
          'amount', (amount_minor * ('1e-' || minor_digits)::numeric)::text, 'currency', currency, 'creditorName', creditor_name))))
        event (event_id, type, subject, customer_id, payload)
    ), told as (
      insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, delivered_at)
      select event_id, type, subject, client_id, customer_id, payload, p_now, 0, p_now from events
    ), notified as (
      insert into events.notification (event_id, customer_id, occurred_at, type, payload)
      select event_id, customer_id, p_now, type, payload from events where customer_id is not null
    ), recorded as (
      insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
      select recorded.record_id, p_now, client_id, recorded.action, recorded.subject, interaction_id, recorded.details
      from made cross join lateral (values
        (consumed_record_id, 'consent.consumed', consent_id, consumed),
        (payment_record_id, 'payment.submitted', payment_id, jsonb_build_object(
          'consentId', consent_id, 'customerId', customer_id, 'status', status, 'reason', why)
          || case when limit_id is null then '{}' else jsonb_build_object('limit', limit_id) end
          || case status when 'posted' then jsonb_build_object('entryId', entry_id, 'score', scores[position]) else '{}' end))
        recorded (record_id, action, subject, details)
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
    select s.word, s.resource_id,
      case when s.word is null then case when reasons[s.position] is not null then 'rejected' when passed[s.position] is not null then 'posted' else 'held' end end,
      reasons[s.position], limit_ids[s.position], s.customer_id, s.debtor_account_id, s.creditor_account_id, s.creditor_is_ours,
      s.creditor_name, s.creditor_scheme_name, s.creditor_identification, s.amount_minor, s.currency,
      s.instruction_identification, s.end_to_end_identification, s.reference, s.asks_for_refund
    from unnest(submissions) s order by s.position;
end $$;

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('revoke bankside_payments from %I', current_user); end if;
end $$;

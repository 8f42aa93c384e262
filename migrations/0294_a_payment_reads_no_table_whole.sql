-- EXISTS in a list of columns, or in what a case asks, PostgreSQL may answer by reading the whole table once for a call, where it takes the call for long: all
-- that all customers ever paid, all accounts, all revoked tokens. A value it looks up for each row, by the key.

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_payments to %I', current_user); end if;
end $$;

create or replace function payments.assess(p_payments payments.assessable[]) returns table (
  "position" integer, verdict text, score integer, reasons jsonb, new_payee boolean, new_device boolean
) language sql stable as $$
  select f.position, case when s.score >= t.refuse_from then 'refuse' when s.score >= t.review_from then 'review' else 'pass' end, s.score, s.reasons,
    f.new_payee, f.new_device
  from (
      select p.position, div(p.amount_minor, unit) as amount,
        div(lately.spent_minor + case when p.is_counted then 0 else p.amount_minor end, unit) as paid_in_a_day,
        lately.payments + (not p.is_counted)::integer as payments_in_an_hour,
        coalesce((
          select false from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'payee' and k.fingerprint = p.payee), true) as new_payee,
        coalesce((
          select false from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'device' and k.fingerprint = p.device), true)
          as new_device,
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

-- And of limits PostgreSQL reads those that may count, not all that there are, though it prepared itself while there were few.
-- What keeps limits apart is no way to find them, so it says in its own words which it is of.
drop index payments.limit_is_set_once;
create unique index limit_is_set_once on payments.spending_limit
  (scope, coalesce(subject_id, ''), set_by, is_soft, coalesce(channel, ''), period, coalesce(window_hours, 0), currency)
  where coalesce(ended_at, '-infinity') = '-infinity';
create index limit_of_everybody on payments.spending_limit (scope) where ended_at is null and subject_id is null;
create index limit_of_customers on payments.spending_limit (scope) where ended_at is null and scope = 'customer' and period <> 'payment';
create or replace function payments.lock_parties(p_customer_id text[], p_account_id text[]) returns payments.parties
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  limited boolean := exists (select from payments.spending_limit where ended_at is null);
  parties payments.parties;
begin
  if limited and exists (select from payments.spending_limit where ended_at is null and scope = 'customer' and period <> 'payment') then
    perform from customers.customer c where c.customer_id = any (p_customer_id) order by c.customer_id for no key update;
  end if;
  select array_agg(a.account_id), coalesce(array_agg(a.account_id) filter (where a.frozen_for is not null), '{}'),
    (select is_on from payments.straight_through), limited
  into parties
  from (select account_id, frozen_for from ledger.account where account_id = any (p_account_id) order by account_id for no key update) a;
  return parties;
end $$;

-- Finishes payments whose checks have answered, or whose time is up: posts what was held, or rejects the payment and frees its
-- funds, or leaves it to a person. Many at once; each lock in the order of ids, payments before accounts. A payment that another one
-- has taken or finished meanwhile is left alone. What is posted goes where the payment says: nothing else is asked of the caller.
--
-- Plans are made while tables are small and kept: found by their keys, rows stay cheap when tables have grown.
--
-- p_verdict is pass, review or refuse; null for one that was cleared, or whose time is up. Of one in review only a person refuses.
create or replace function payments.settle(
  p_now timestamptz, p_actor text, p_payment_id text[], p_lease integer[], p_verdict text[], p_risk_score integer[], p_risk_reasons text[],
  p_entry_id text[], p_event_id text[], p_record_id text[], p_why text default null
) returns table (payment_id text, status text) language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  due payments.settlement[];
  reviewed payments.settlement[];
  done payments.settlement[] := '{}';
  declined payments.settlement[] := '{}';
  one payments.settlement;
  words text[];
begin
  perform from payments.payment p where p.payment_id = any (p_payment_id) order by p.payment_id for no key update;
  select array_agg(s order by (s).payment_id) filter (where (s).decision in ('post', 'refuse', 'expire')),
    array_agg(s order by (s).payment_id) filter (where (s).decision = 'review')
  into due, reviewed
  from (
    select row(
        p.payment_id, decision, case decision when 'refuse' then 'U042' when 'expire' then 'AB03' end, p.hold_id, asked.entry_id, asked.event_id,
        asked.record_id, p.debtor_account_id, p.creditor_account_id, creditor.kind = 'customer' or creditor.account_number is not null,
        p.creditor_name, p.creditor_scheme_name, p.creditor_identification,
        case p.channel when 'bank_api' then 'Transfer' else 'Open banking payment' end, coalesce(nullif(p.reference, ''), p.end_to_end_identification),
        p.client_id, p.customer_id, p.consent_id, (p.amount_minor * ('1e-' || money.minor_digits)::numeric)::text, p.currency,
        coalesce(asked.risk_score, p.risk_score), coalesce(asked.risk_reasons::jsonb, p.risk_reasons))::payments.settlement as s
    from unnest(p_payment_id, p_lease, p_verdict, p_risk_score, p_risk_reasons, p_entry_id, p_event_id, p_record_id)
        asked (payment_id, lease, verdict, risk_score, risk_reasons, entry_id, event_id, record_id)
      join payments.payment p on p.payment_id = asked.payment_id and p.lease = asked.lease
      join ledger.currency money on money.currency = p.currency
      join ledger.account creditor on creditor.account_id = p.creditor_account_id
      cross join lateral (select case
          when p.deadline_at <= p_now then 'expire'
          when p.step = 'cleared' then 'post'
          when p.step = 'review' then case when p_actor <> 'worker' and verdict = 'refuse' then 'refuse' end
          when verdict = 'pass' then 'post'
          else verdict
        end) judged (decision)
    where p.status = 'held') judged;

  words := payments.settle_money(p_now, due);
  if 'done' <> any (words) then
    if 'hold_not_active' = any (words) then
      raise exception 'a payment waits on a hold that is not active'
        using errcode = '23514', constraint = 'payment_held_has_an_active_hold', table = 'payment', schema = 'payments';
    end if;
    -- What could not be posted after all: its funds are free again.
    for position in 1..cardinality(words) loop
      one := due[position];
      if words[position] = 'done' then
        done := done || one;
      else
        one.decision := case words[position] when 'hold_expired' then 'expire' else 'refuse' end;
        one.reason := case when words[position] = 'hold_expired' then 'AB03'
          else (select case a.status when 'open' then 'AC07' when 'closed' then 'AC04' else 'AC06' end from ledger.account a where a.account_id = one.debtor_account_id) end;
        declined := declined || one;
      end if;
    end loop;
    if 'done' <> any (payments.settle_money(p_now, declined)) then
      raise exception 'the funds of a payment could not be released'
        using errcode = '23514', constraint = 'payment_held_has_an_active_hold', table = 'payment', schema = 'payments';
    end if;
    due := done || declined;
  end if;

  return query
  with settled as (
    update payments.payment p set
      status = case s.decision when 'post' then 'posted' else 'rejected' end, status_updated_at = p_now, rejection_reason = s.reason,
      entry_id = case s.decision when 'post' then s.entry_id end, risk_score = s.risk_score, risk_reasons = s.risk_reasons
    from unnest(due) s where p.payment_id = s.payment_id and p.payment_id = any (p_payment_id)
    returning p.payment_id, p.status
  ), held_back as (
    update payments.payment p set step = 'review', lease_until = null, risk_score = s.risk_score, risk_reasons = s.risk_reasons
    from unnest(reviewed) s where p.payment_id = s.payment_id and p.payment_id = any (p_payment_id)
    returning p.payment_id, p.step
  ), known as (
    insert into payments.known_to_customer (customer_id, kind, fingerprint, first_paid_at)
    select distinct s.customer_id, k.kind, k.fingerprint, p_now
    from unnest(due) s left join consents.consent c using (consent_id)
      cross join lateral (values ('payee', s.creditor_scheme_name || ' ' || s.creditor_identification), ('device', c.authorised_device)) k (kind, fingerprint)
    where s.decision = 'post' and k.fingerprint is not null
      and (
        select true from payments.known_to_customer before
        where before.customer_id = s.customer_id and before.kind = k.kind and before.fingerprint = k.fingerprint) is null
    order by 1, 2, 3
    on conflict do nothing
  ), told as (
    insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, next_attempt_at)
    select s.event_id, became.type, s.payment_id, s.client_id, s.customer_id, jsonb_strip_nulls(jsonb_build_object(
      'paymentId', s.payment_id, 'consentId', s.consent_id, 'status', became.status, 'reason', s.reason, 'amount', s.amount, 'currency', s.currency,
      'creditorName', s.creditor_name)), p_now, 0, p_now
    from unnest(due || reviewed) s cross join lateral (
      select case s.decision when 'post' then 'payment.posted' when 'review' then 'payment.in_review' else 'payment.rejected' end,
        case s.decision when 'post' then 'posted' when 'review' then 'held' else 'rejected' end) became (type, status)
  ), recorded as (
    insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select s.record_id, p_now, p_actor,
      case s.decision when 'post' then 'payment.posted' when 'review' then 'payment.in_review' else 'payment.rejected' end, s.payment_id,
      jsonb_build_object('reason', s.reason, 'score', s.risk_score)
        || case when p_why is null then '{}' else jsonb_build_object('why', p_why) end
        || case s.decision when 'review' then jsonb_build_object('reasons', s.risk_reasons) else '{}' end
    from unnest(due || reviewed) s
  )
  select * from settled union all select * from held_back;
end $$;

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
) language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set join_collapse_limit = 1 as $$
#variable_conflict use_column
declare
  s payments.submission;
  submissions payments.submission[] := '{}';
  due integer := 0;
  claimed integer;
  customer_ids text[] := '{}';
  each_alone boolean := true;
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
  -- Of what may be paid.
  positions integer[] := '{}';
  consent_ids text[] := '{}';
  channels text[] := '{}';
  payer_ids text[] := '{}';
  account_ids text[] := '{}';
  candidates payments.assessable[] := '{}';
  parties payments.parties;
  assessed record;
  passed text[] := '{}';
  -- Those that are posted one after another, or held, and what the ledger is told of each.
  of_run integer[];
  straight boolean;
  ids text[];
  payment_ids text[];
  debtor_ids text[];
  creditor_ids text[];
  amounts numeric[];
  currencies text[];
  descriptions text[];
  reference_texts text[];
  names text[];
  scheme_names text[];
  identifications text[];
  next integer := 1;
  all_done boolean := true;
begin
  if p_now > clock_timestamp() + interval '7 days' then
    raise exception 'a payment cannot be made at %', p_now
      using errcode = '23514', constraint = 'payment_is_not_of_a_time_to_come', table = 'payment', schema = 'payments';
  end if;
  perform from consents.consent c where c.consent_id = any (p_consent_id) order by c.consent_id for no key update;

  for s in
    select asked.position, judged.word, used.resource_id,
      case
        when creditor.kind = 'settlement' and creditor.account_number is null and creditor.iban is null and (
          select true from ledger.account ours where ours.sort_code = case c.creditor_scheme_name
            when 'UK.OBIE.SortCodeAccountNumber' then left(c.creditor_identification, 6)
            when 'UK.OBIE.IBAN' then substring(upper(replace(c.creditor_identification, ' ', '')) from '^GB\d{2}[A-Z]{4}(\d{6})\d{8}$') end limit 1) then 'AC01'
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
    from jsonb_to_recordset(p_submissions) asked (
        position integer, payment_id text, hold_id text, entry_id text, client_id text, consent_id text, token_hash text, channel text, initiation jsonb,
        own_identification text, interaction_id text, method text, endpoint text, key text, request_hash text,
        consumed_event_id text, payment_event_id text, consumed_record_id text, payment_record_id text)
      left join clients.client cl on cl.client_id = asked.client_id
      left join consents.consent c on c.consent_id = asked.consent_id
      left join oidc.grant g on g.grant_id = c.grant_id
      left join lateral (
        select claimed.created_at > p_forget_before as remembered, claimed.request_hash, claimed.resource_id from payments.idempotent_request claimed
        where (claimed.client_id, claimed.method, claimed.endpoint, claimed.key) = (asked.client_id, asked.method, asked.endpoint, asked.key)
        order by claimed.created_at desc limit 1) used on true
      left join ledger.currency money on money.currency = c.currency
      left join ledger.account creditor on creditor.account_id = coalesce(
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
          order by settlement.account_id limit 1))
      cross join lateral (select case
        when cl.status is distinct from 'active' then 'client_blocked'
        when asked.token_hash is not null and (select true from oidc.revoked_token r where r.token_hash = decode(asked.token_hash, 'hex')) then 'grant_revoked'
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
    order by asked.position
  loop
    submissions := submissions || s;
    each_alone := each_alone and (s.customer_id = any (customer_ids)) is not true;
    customer_ids := customer_ids || s.customer_id;
    if s.word is null then
      due := due + 1;
      if s.reason is null then
        positions := positions || s.position;
        consent_ids := consent_ids || s.consent_id;
        channels := channels || s.channel;
        payer_ids := payer_ids || s.customer_id;
        account_ids := account_ids || array[s.debtor_account_id, s.creditor_account_id];
        if s.entry_id is not null then
          candidates := candidates || row(s.position, s.customer_id, s.debtor_account_id, s.amount_minor, s.minor_digits,
            s.creditor_scheme_name || ' ' || s.creditor_identification, s.device, p_now, false)::payments.assessable;
        end if;
      end if;
    end if;
  end loop;

  if positions <> '{}' then
    parties := payments.lock_parties(payer_ids, account_ids);
    if parties.limited then
      said := payments.limits_in_the_way(p_now, consent_ids, channels);
    end if;
    if array_remove(said, null) <> '{}' then
      select array_agg(o.limit_id order by s.position) into limit_ids
      from unnest(submissions) s left join unnest(positions, said) o (position, limit_id) using (position);
      positions := array(select position from unnest(positions) position where limit_ids[position] is null order by position);
    end if;
    if each_alone and parties.straight_through then
      for assessed in select * from payments.assess(candidates) loop
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
    while next <= cardinality(positions) loop
      straight := passed[positions[next]] is not null;
      of_run := '{}';
      ids := '{}';
      payment_ids := '{}';
      debtor_ids := '{}';
      creditor_ids := '{}';
      amounts := '{}';
      currencies := '{}';
      descriptions := '{}';
      reference_texts := '{}';
      names := '{}';
      scheme_names := '{}';
      identifications := '{}';
      while next <= cardinality(positions) and (passed[positions[next]] is not null) = straight loop
        s := submissions[positions[next]];
        of_run := of_run || s.position;
        ids := ids || case when straight then s.entry_id else s.hold_id end;
        debtor_ids := debtor_ids || s.debtor_account_id;
        amounts := amounts || s.amount_minor;
        currencies := currencies || s.currency;
        if straight then
          payment_ids := payment_ids || s.payment_id;
          creditor_ids := creditor_ids || s.creditor_account_id;
          descriptions := descriptions || case s.channel when 'bank_api' then 'Transfer' else 'Open banking payment' end;
          reference_texts := reference_texts || coalesce(nullif(s.reference, ''), s.end_to_end_identification);
          names := names || s.creditor_name;
          -- Of an account here the ledger knows the number itself.
          scheme_names := scheme_names || case when not s.creditor_is_ours then s.creditor_scheme_name end;
          identifications := identifications || case when not s.creditor_is_ours then s.creditor_identification end;
        end if;
        next := next + 1;
      end loop;
      if straight then
        said := ledger.write_payments(p_now, ids, payment_ids, debtor_ids, creditor_ids, amounts, currencies, descriptions, reference_texts, names, scheme_names,
          identifications);
      else
        said := ledger.place_holds(ids, debtor_ids, amounts, currencies, p_now, p_deadline_at);
      end if;
      for number in 1..cardinality(of_run) loop
        outcomes[of_run[number]] := said[number];
        all_done := all_done and said[number] in ('done', 'held');
      end loop;
    end loop;
  end if;
  -- What has no funds counts towards no limit, and was counted.
  if limit_ids <> '{}' and 'insufficient_funds' = any (outcomes) then
    raise exception 'whether a limit is in the way is to be asked one by one'
      using errcode = '23514', constraint = 'limited_without_funds_alone', table = 'payment', schema = 'payments';
  end if;
  if due > cardinality(positions) or not all_done then
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
      select consumed_event_id as event_id, 'consent.consumed' as type, consent_id as subject, client_id, null as customer_id, consumed as payload from made
      union all
      -- Of a consent that was used for a payment its customer is told by the payment.
      select payment_event_id, 'payment.' || status, payment_id, client_id, customer_id, jsonb_strip_nulls(jsonb_build_object(
        'paymentId', payment_id, 'consentId', consent_id, 'status', status, 'reason', why,
        'amount', (amount_minor * ('1e-' || minor_digits)::numeric)::text, 'currency', currency, 'creditorName', creditor_name))
      from made
    ), told as (
      insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, delivered_at)
      select event_id, type, subject, client_id, customer_id, payload, p_now, 0, p_now from events
    ), notified as (
      insert into events.notification (event_id, customer_id, occurred_at, type, payload)
      select event_id, customer_id, p_now, type, payload from events where customer_id is not null
    ), recorded as (
      insert into audit.record (record_id, occurred_at, actor, action, subject, interaction_id, details)
      select consumed_record_id, p_now, client_id, 'consent.consumed', consent_id, interaction_id, consumed from made
      union all
      select payment_record_id, p_now, client_id, 'payment.submitted', payment_id, interaction_id, jsonb_build_object(
          'consentId', consent_id, 'customerId', customer_id, 'status', status, 'reason', why)
        || case status when 'held' then jsonb_build_object('holdId', hold_id) else '{}' end
        || case when limit_id is null then '{}' else jsonb_build_object('limit', limit_id) end
        || case status when 'posted' then jsonb_build_object('entryId', entry_id, 'score', scores[position]) else '{}' end
      from made
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

-- As 0177 has it of consents: PostgreSQL reads and prepares every check of a table for every statement that writes to it. The same by the same names, prepared
-- once for each connection, and of what payments.submit writes not asked: it makes these rows of what it has just found out, and looks at the id itself.
alter table payments.payment
  drop constraint payment_amount_is_positive, drop constraint payment_channel_is_known, drop constraint payment_debtor_is_not_creditor,
  drop constraint payment_held_has_a_hold, drop constraint payment_id_is_prefixed, drop constraint payment_posted_has_an_entry,
  drop constraint payment_rejected_has_a_reason, drop constraint payment_status_is_known, drop constraint payment_step_is_known,
  drop constraint payment_step_is_of_what_is_held;

create function payments.payment_is_well_formed() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  problem text;
begin
  problem := case
    when not (starts_with(new.payment_id, 'pay_') and length(new.payment_id) = 36) then 'payment_id_is_prefixed'
    when new.channel not in ('uk_v4', 'bank_api') then 'payment_channel_is_known'
    when new.status not in ('held', 'posted', 'rejected') then 'payment_status_is_known'
    when new.step not in ('checks', 'review', 'cleared') then 'payment_step_is_known'
    when new.amount_minor <= 0 then 'payment_amount_is_positive'
    when new.debtor_account_id = new.creditor_account_id then 'payment_debtor_is_not_creditor'
    when new.status = 'held' and new.hold_id is null then 'payment_held_has_a_hold'
    when (new.status = 'held') <> (new.step is not null) then 'payment_step_is_of_what_is_held'
    when (new.status = 'posted') <> (new.entry_id is not null) then 'payment_posted_has_an_entry'
    when (new.status = 'rejected') <> (new.rejection_reason is not null) then 'payment_rejected_has_a_reason'
  end;
  if problem is not null then
    raise exception 'payment % is not well formed: %', new.payment_id, problem
      using errcode = '23514', constraint = problem, table = 'payment', schema = 'payments';
  end if;
  return null;
end $$;
revoke execute on function payments.payment_is_well_formed from public;
create trigger payment_is_well_formed after insert or update of
  payment_id, channel, status, step, amount_minor, debtor_account_id, creditor_account_id, hold_id, entry_id, rejection_reason
  on payments.payment for each row when (current_user <> 'bankside_payments'::text) execute function payments.payment_is_well_formed();

-- Rules are told in this order: found in it, they need not be sorted for each payment.
create index risk_rule_as_told on payments.risk_rule (abs(points) desc, rule_id);

-- Whoever replaces what another role owns must be able to act as it.
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then execute format('grant bankside_payments to %I', current_user); end if;
end $$;

-- A key is claimed anew only in a later generation, so the last generation that has it is the last claim: PostgreSQL finds that by the key, without sorting.
--
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
        order by claimed.generation desc limit 1) used on true
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
      if (starts_with(s.payment_id, 'pay_') and length(s.payment_id) = 36) is not true then
        raise exception 'payment % is not well formed', s.payment_id
          using errcode = '23514', constraint = 'payment_id_is_prefixed', table = 'payment', schema = 'payments';
      end if;
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

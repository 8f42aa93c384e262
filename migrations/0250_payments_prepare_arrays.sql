-- A call for a few payments costs what its statements cost to begin more than what they write. So: arrays that are filled as the payments are read, instead of
-- aggregates, each of which PostgreSQL prepares anew; rows one below the other, instead of lists of values, which it prepares for every row; and of the
-- ledger no more is asked than a payment needs.

-- Whoever replaces what another role owns must be able to act as it, and a new owner may create: for as long as this takes.
grant create on schema ledger to bankside_books;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant bankside_books, bankside_payments to %I', current_user);
  end if;
end $$;

-- The same as ledger.write for payments that are posted as they come: transfers without a key of the ledger's own, each between two accounts and in one
-- currency, done as if one after another. Answers with a word for each: 'done', or why it was declined. A name, scheme or identification that is null is
-- that of the account.
create function ledger.write_payments(
  p_now timestamptz, p_entry_id text[], p_payment_id text[], p_debtor_account_id text[], p_creditor_account_id text[], p_amount_minor numeric[], p_currency text[],
  p_description text[], p_reference text[], p_creditor_name text[], p_creditor_scheme_name text[], p_creditor_identification text[]
) returns text[] language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  today date := (p_now at time zone 'Europe/London')::date;
  -- By place, as they stand when all that was accepted so far is done. room is what can still be spent: null where there is no end to it.
  account_ids text[];
  currencies text[];
  statuses text[];
  room numeric[];
  posted numeric[];
  counted bigint[];
  booked timestamptz[];
  told_names text[];
  told_scheme_names text[];
  told_identifications text[];
  -- By payment: both accounts, and what their postings say. Those with no number are none.
  debtors integer[] := '{}';
  creditors integer[] := '{}';
  debit_numbers bigint[] := array_fill(null::bigint, array[cardinality(p_entry_id)]);
  debit_balances numeric[] := array_fill(null::numeric, array[cardinality(p_entry_id)]);
  credit_numbers bigint[] := debit_numbers;
  credit_balances numeric[] := debit_balances;
  outcomes text[] := '{}';
  debtor integer;
  creditor integer;
  amount numeric;
  named_currency text;
begin
  select array_agg(a.account_id), array_agg(a.currency), array_agg(a.status),
    array_agg(case when a.kind = 'customer' then a.posted_minor - a.held_minor + a.overdraft_minor end), array_agg(a.posted_minor),
    array_agg(a.posting_count), array_agg(greatest(p_now, a.last_booked_at)), array_agg(a.holder_name),
    array_agg(case when a.sort_code is not null then 'UK.OBIE.SortCodeAccountNumber' when a.iban is not null then 'UK.OBIE.IBAN' end),
    array_agg(coalesce(a.sort_code || a.account_number, a.iban))
  into account_ids, currencies, statuses, room, posted, counted, booked, told_names, told_scheme_names, told_identifications
  from (
    select account_id, currency, status, kind, posted_minor, held_minor, overdraft_minor, posting_count, last_booked_at, holder_name, sort_code,
      account_number, iban
    from ledger.account where account_id = any (p_debtor_account_id || p_creditor_account_id) order by account_id for no key update) a;

  for number in 1..cardinality(p_entry_id) loop
    debtor := array_position(account_ids, p_debtor_account_id[number]);
    creditor := array_position(account_ids, p_creditor_account_id[number]);
    amount := p_amount_minor[number];
    named_currency := p_currency[number];
    if (amount >= 1 and amount < 1e37 and amount = trunc(amount) and p_debtor_account_id[number] <> p_creditor_account_id[number]
      and starts_with(p_entry_id[number], 'ent_') and length(p_entry_id[number]) = 36 and p_payment_id[number] is not null) is not true then
      perform ledger.raise_unsound(case
          when (starts_with(p_entry_id[number], 'ent_') and length(p_entry_id[number]) = 36) is not true then 'entry_id_is_prefixed'
          when p_payment_id[number] is null then 'entry_posts_a_payment_once'
          when amount >= 1 and amount < 1e37 and amount = trunc(amount) then 'transfer_is_between_two_accounts'
          else 'amount_is_a_positive_whole_number'
        end, 'entry');
    end if;
    debtors[number] := debtor;
    creditors[number] := creditor;
    if statuses[debtor] = 'open' and currencies[debtor] = named_currency and statuses[creditor] <> 'closed' and currencies[creditor] = named_currency
      and (room[debtor] < amount) is not true then
      room[debtor] := room[debtor] - amount;
      room[creditor] := room[creditor] + amount;
      posted[debtor] := posted[debtor] - amount;
      posted[creditor] := posted[creditor] + amount;
      counted[debtor] := counted[debtor] + 1;
      counted[creditor] := counted[creditor] + 1;
      debit_numbers[number] := counted[debtor];
      debit_balances[number] := posted[debtor];
      credit_numbers[number] := counted[creditor];
      credit_balances[number] := posted[creditor];
      outcomes[number] := 'done';
    else
      outcomes[number] := case
        when debtor is null then 'account_not_found'
        when currencies[debtor] <> named_currency then 'currency_mismatch'
        when statuses[debtor] <> 'open' then 'account_not_usable'
        when creditor is null then 'account_not_found'
        when currencies[creditor] <> named_currency then 'currency_mismatch'
        when statuses[creditor] = 'closed' then 'account_not_usable'
        else 'insufficient_funds'
      end;
    end if;
  end loop;
  if not 'done' = any (outcomes) then return outcomes; end if;

  with made as (
    select * from unnest(p_entry_id, p_payment_id, p_currency, p_description, p_reference, p_amount_minor, p_creditor_name, p_creditor_scheme_name,
        p_creditor_identification, debtors, creditors, debit_numbers, debit_balances, credit_numbers, credit_balances)
      p (entry_id, payment_id, currency, description, reference, amount_minor, name, scheme_name, identification, debtor, creditor, debit_number, debit_balance,
        credit_number, credit_balance)
    where p.debit_number is not null
  ), entered as (
    insert into ledger.entry (entry_id, kind, currency, description, reference, payment_id, booked_at, value_date)
    select entry_id, 'transfer', currency, description, reference, payment_id, p_now, today from made
  ), posted as (
    insert into ledger.posting (
      account_id, posting_number, entry_id, currency, amount_minor, balance_minor,
      counterparty_name, counterparty_scheme_name, counterparty_identification, booked_at)
    select account_ids[l.account], l.number, l.entry_id, l.currency, l.amount_minor, l.balance_minor, coalesce(l.name, told_names[l.other], ''),
      case when l.identification is null then told_scheme_names[l.other] else l.scheme_name end,
      coalesce(l.identification, told_identifications[l.other]), booked[l.account]
    from (
      select entry_id, currency, debtor as account, creditor as other, debit_number as number, -amount_minor as amount_minor, debit_balance as balance_minor,
        name, scheme_name, identification
      from made
      union all
      select entry_id, currency, creditor, debtor, credit_number, amount_minor, credit_balance, null, null, null from made) l
  )
  update ledger.account a set posted_minor = n.posted_minor, posting_count = n.posting_count, last_booked_at = n.booked_at
  from unnest(account_ids, posted, counted, booked) n (account_id, posted_minor, posting_count, booked_at)
  where a.account_id = n.account_id and n.posting_count > a.posting_count;
  return outcomes;
end $$;
revoke execute on function ledger.write_payments from public;
grant execute on function ledger.write_payments to bankside_payments;
alter function ledger.write_payments owner to bankside_books;

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
) language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set join_collapse_limit = 1 as $$
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

-- A trigger before an update locks each row once more: these look at it after it was written. And of a consent that is spent on a payment, payments.submit has
-- seen to what they ask.
drop trigger consent_moves_forward on consents.consent;
create trigger consent_moves_forward after update on consents.consent
  for each row when (current_user <> 'bankside_payments'::text) execute function consents.consent_moves_forward();
drop trigger consent_terms_never_change on consents.consent;
create trigger consent_terms_never_change after update of
  consent_id, client_id, kind, created_at, request, permissions, expires_at, transaction_from, transaction_to, amount_minor, currency, creditor_name,
  creditor_scheme_name, creditor_identification, creditor_account_id, reference, customer_id, debtor_account_id
  on consents.consent for each row execute function consents.consent_terms_never_change();
drop trigger consent_well_formed on consents.consent;
create trigger consent_well_formed after insert or update on consents.consent
  for each row when (current_user <> 'bankside_payments'::text) execute function consents.consent_is_well_formed();

do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('revoke bankside_books, bankside_payments from %I', current_user);
  end if;
end $$;
revoke create on schema ledger from bankside_books;

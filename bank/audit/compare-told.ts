import { type SqlFragment, sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { minorDigits } from '../currencies.ts'
import { canonicalJson } from '../idempotency/canonical-json.ts'
import type { Finding } from './compare-rows.ts'
import { sha256 } from './merkle-tree.ts'

/**
 * What stands in other tables against what the records say of it: consents, payments, accounts, limits, rates and grants are in no leaf,
 * but what was done to them is. The records are compared with their leaves by whoever calls this. Of what was never recorded
 * nothing is said.
 */
export async function compareTold(tx: Transaction): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const check of Object.values(checks))
    findings.push(
      ...(
        await tx.any(sql.type(foundRow)`
        select table_name as table, id, what, column_name as column, detail from (${check}) found (table_name, id, what, column_name, detail)
        order by table_name, id limit ${findingsAtMost}`)
      ).map(({ column, ...found }) => ({ ...found, ...(column !== null && { column }) })),
    )
  return [...findings, ...(await compareRequests(tx)), ...(await compareCurrencies(tx)), ...(await compareCounting(tx))]
}

/** More of one kind are not listed one by one. */
const findingsAtMost = 1_000
/** In no leaf themselves: what records say of their rows is compared with them. */
const toldTables = [
  ...['payments.payment', 'consents.consent', 'consents.consent_account', 'ledger.account', 'payments.spending_limit'],
  ...['ledger.rate', 'oidc.grant', 'clients.client', 'payments.straight_through'],
] as const
export type ToldTable = (typeof toldTables)[number]
const foundRow = z.object({
  table: z.enum(toldTables),
  id: z.string(),
  what: z.enum(['changed', 'missing', 'inserted']),
  column: z.string().nullable(),
  detail: z.string(),
})

/** Records of before are archived: what of then is not on record says nothing. */
const recordedSince = sql.fragment`(
  select coalesce(max(to_timestamp(('x' || substr(before_key, 5, 12))::bit(48)::bigint / 1000.0)), '-infinity') from audit.archive)`

/** The last of these records of each subject. */
const last = (condition: SqlFragment) => sql.fragment`
  select distinct on (subject) subject, actor, action, details, occurred_at from audit.record where ${condition}
  order by subject, occurred_at desc, record_id desc`
const first = (action: string) => sql.fragment`
  select distinct on (subject) subject, actor, details, occurred_at from audit.record where action = ${action} order by subject, occurred_at, record_id`
const changed = (table: string, id: SqlFragment, column: string, now: SqlFragment, told: SqlFragment) => sql.fragment`
  ${table}::text, ${id}, 'changed', ${column}::text, format('now %s, on record %s', coalesce(${now}::text, 'null'), coalesce(${told}::text, 'null'))`

/** What of a row must be what its record said, column by column. */
function each(
  from: SqlFragment,
  table: string,
  id: SqlFragment,
  columns: readonly (readonly [string, SqlFragment, SqlFragment])[],
): SqlFragment {
  const parts = columns.map(
    ([name, now, told]) =>
      sql.fragment`select ${changed(table, id, name, now, told)} from compared where ${now}::text is distinct from ${told}::text`,
  )
  return sql.fragment`with compared as materialized (${from}) ${sql.join(parts, sql.fragment` union all `)}`
}

const checks: Readonly<Record<string, SqlFragment>> = {
  'payments that are gone or were never submitted': sql.fragment`
    select 'payments.payment', coalesce(p.payment_id, r.subject), case when p.payment_id is null then 'missing' else 'inserted' end, null::text,
      case when p.payment_id is null then 'it is on record that it was submitted' else 'nothing is on record of it' end
    from payments.payment p full join (${first('payment.submitted')}) r on r.subject = p.payment_id
    where p.payment_id is null or r.subject is null and p.created_at >= ${recordedSince}`,

  payments: each(
    sql.fragment`
      select p.payment_id, p.client_id, p.consent_id, p.customer_id, p.status, p.hold_id, p.entry_id, p.rejection_reason, r.actor, r.details,
        case coalesce(l.action, 'payment.submitted') when 'payment.posted' then 'posted' when 'payment.rejected' then 'rejected'
          when 'payment.in_review' then 'held' else r.details ->> 'status' end as told_status,
        coalesce(l.details, r.details) ->> 'reason' as told_reason
      from payments.payment p join (${first('payment.submitted')}) r on r.subject = p.payment_id
        left join (${last(sql.fragment`action in ('payment.posted', 'payment.rejected', 'payment.in_review')`)}) l on l.subject = p.payment_id`,
    'payments.payment',
    sql.fragment`payment_id`,
    [
      ['client_id', sql.fragment`client_id`, sql.fragment`actor`],
      ['consent_id', sql.fragment`consent_id`, sql.fragment`details ->> 'consentId'`],
      ['customer_id', sql.fragment`customer_id`, sql.fragment`details ->> 'customerId'`],
      ['status', sql.fragment`status`, sql.fragment`told_status`],
      ['rejection_reason', sql.fragment`rejection_reason`, sql.fragment`case told_status when 'rejected' then told_reason end`],
      ['hold_id', sql.fragment`hold_id`, sql.fragment`coalesce(details ->> 'holdId', hold_id)`],
      ['entry_id', sql.fragment`entry_id`, sql.fragment`coalesce(details ->> 'entryId', entry_id)`],
    ],
  ),

  'consents that nobody lodged or authorised, and that were paid under': sql.fragment`
    select 'consents.consent', p.consent_id, 'inserted', null::text, format('%s was paid under it, and %s is not on record', p.payment_id, wanted.action)
    from payments.payment p left join consents.consent c using (consent_id) cross join (values ('consent.lodged'), ('consent.authorised')) wanted (action)
    where coalesce(c.created_at, p.created_at) >= ${recordedSince}
      and not exists (select from audit.record r where r.subject = p.consent_id and r.action = wanted.action)`,

  'consents that are gone': sql.fragment`
    select 'consents.consent', r.subject, 'missing', null::text, 'it is on record that it was lodged'
    from (${first('consent.lodged')}) r where not exists (select from consents.consent c where c.consent_id = r.subject)`,

  consents: each(
    sql.fragment`
      select c.consent_id, c.client_id, c.status, c.amount_minor, c.currency, l.actor, l.details, told.status as told_status
      from consents.consent c left join (${first('consent.lodged')}) l on l.subject = c.consent_id
        left join lateral (
          -- Several in one moment are one act: any of them may have been the last.
          select case when bool_or(s.status = c.status) then c.status else min(s.status) end as status
          from (
            select r.details ->> 'status' as status, r.occurred_at = max(r.occurred_at) over () as is_last
            from audit.record r where r.subject = c.consent_id and r.action like 'consent.%' and r.details ? 'status') s where s.is_last) told on true`,
    'consents.consent',
    sql.fragment`consent_id`,
    [
      ['status', sql.fragment`status`, sql.fragment`coalesce(told_status, status)`],
      ['amount_minor', sql.fragment`amount_minor`, sql.fragment`coalesce((details ->> 'amountMinor')::numeric, amount_minor)`],
      ['currency', sql.fragment`currency`, sql.fragment`coalesce(details ->> 'currency', currency)`],
      ['client_id', sql.fragment`client_id`, sql.fragment`case when details ? 'requestHash' then actor else client_id end`],
    ],
  ),

  'who authorised a consent, and for which account': each(
    sql.fragment`
      select c.consent_id, c.customer_id, c.kind, c.debtor_account_id, a.actor, a.details
      from consents.consent c join (${last(sql.fragment`action = 'consent.authorised'`)}) a on a.subject = c.consent_id`,
    'consents.consent',
    sql.fragment`consent_id`,
    [
      ['customer_id', sql.fragment`customer_id`, sql.fragment`actor`],
      [
        'debtor_account_id',
        sql.fragment`debtor_account_id`,
        sql.fragment`case when kind <> 'account_access' and details ? 'accounts' then details -> 'accounts' ->> 0 else debtor_account_id end`,
      ],
    ],
  ),

  'accounts that nobody chose': sql.fragment`
    select 'consents.consent_account', c.consent_id || '/' || x.account_id, 'inserted', null::text, 'it is not among those that the customer chose'
    from consents.consent_account x join consents.consent c using (consent_id)
      join (${last(sql.fragment`action = 'consent.authorised'`)}) a on a.subject = c.consent_id
    where c.kind = 'account_access' and c.status = 'AUTH' and a.details ? 'accounts' and not a.details -> 'accounts' ? x.account_id`,

  'who is to be paid': each(
    sql.fragment`
      select consent_id, creditor_identification, creditor_name, amount_minor, request #>> '{Data,Initiation,CreditorAccount,Identification}' as identification,
        request #>> '{Data,Initiation,CreditorAccount,Name}' as name,
        (request #>> '{Data,Initiation,InstructedAmount,Amount}')::numeric * ('1e' || m.minor_digits)::numeric as minor
      from consents.consent c join ledger.currency m using (currency)
      where c.kind = 'domestic_payment' and c.request #> '{Data,Initiation,CreditorAccount}' is not null`,
    'consents.consent',
    sql.fragment`consent_id`,
    [
      ['creditor_identification', sql.fragment`creditor_identification`, sql.fragment`identification`],
      ['creditor_name', sql.fragment`creditor_name`, sql.fragment`coalesce(name, creditor_name)`],
      ['amount_minor', sql.fragment`amount_minor`, sql.fragment`trunc(minor)`],
    ],
  ),

  accounts: each(
    sql.fragment`
      select a.account_id, a.customer_id, a.status, a.overdraft_minor, o.details as opened, l.details as changed
      from ledger.account a left join (${first('account.opened')}) o on o.subject = a.account_id
        left join (${last(sql.fragment`action = 'account.changed'`)}) l on l.subject = a.account_id`,
    'ledger.account',
    sql.fragment`account_id`,
    [
      ['customer_id', sql.fragment`customer_id`, sql.fragment`coalesce(opened ->> 'customerId', customer_id)`],
      ['status', sql.fragment`status`, sql.fragment`coalesce(changed ->> 'status', status)`],
      ['overdraft_minor', sql.fragment`overdraft_minor`, sql.fragment`coalesce((changed ->> 'overdraftMinor')::numeric, overdraft_minor)`],
    ],
  ),

  'accounts that are gone': sql.fragment`
    select 'ledger.account', r.subject, 'missing', null::text, 'it is on record that it was opened'
    from (${first('account.opened')}) r where not exists (select from ledger.account a where a.account_id = r.subject)`,

  limits: sql.fragment`
    select 'payments.spending_limit', r.subject, case when l.limit_id is null then 'missing' else 'changed' end, null::text,
      format('on record: %s %s, by %s', r.details ->> 'most', r.details ->> 'currency', r.details ->> 'setBy')
    from (${first('limit.set')}) r left join payments.spending_limit l on l.limit_id = r.subject
      left join ledger.currency m on m.currency = l.currency
    where (l.most_minor, l.set_by, l.is_soft, l.scope, l.subject_id) is distinct from (
        trunc((r.details ->> 'most')::numeric * ('1e' || m.minor_digits)::numeric), r.details ->> 'setBy', (r.details ->> 'soft')::boolean,
        r.details ->> 'scope', r.details ->> 'of')
      or l.ended_at is not null and not exists (
        select from audit.record e where e.subject = r.subject and e.action = 'limit.ended'
        union all select from audit.record e where e.action = 'limit.set' and e.details #>> '{insteadOf,limit_id}' = r.subject)`,

  'limits that nobody set': sql.fragment`
    select 'payments.spending_limit', l.limit_id, 'inserted', null::text, 'nothing is on record of it' from payments.spending_limit l
    where l.set_at >= ${recordedSince} and not exists (select from audit.record r where r.subject = l.limit_id and r.action = 'limit.set')`,

  rates: sql.fragment`
    select 'ledger.rate', r.subject || ' ' || (r.details ->> 'source'), case when x.base_currency is null then 'missing' else 'changed' end, null::text,
      format('on record: %s at %s digits', r.details ->> 'units', r.details ->> 'scale')
    from audit.record r left join ledger.rate x
      on (x.base_currency || '/' || x.quote_currency, x.source, x.quoted_at) = (r.subject, r.details ->> 'source', r.occurred_at)
    where r.action = 'rate.recorded'
      and (x.price_units::text, x.price_scale::text) is distinct from (r.details ->> 'units', r.details ->> 'scale')`,

  grants: sql.fragment`
    select 'oidc.grant', g.grant_id, 'changed', 'revoked_at', 'it is on record that it ended'
    from oidc.grant g join audit.record r on r.subject = g.grant_id and r.action = 'grant.ended' where g.revoked_at is null`,

  clients: sql.fragment`
    select 'clients.client', r.subject, case when c.client_id is null then 'missing' else 'changed' end, case when c.client_id is null then null else 'status' end,
      format('now %s, last on record %s', coalesce(c.status, 'not there'), r.action)
    from (${last(sql.fragment`action in ('client.registered', 'client.blocked', 'client.unblocked', 'client.deleted')`)}) r
      left join clients.client c on c.client_id = r.subject
    where c.client_id is null or r.action = 'client.blocked' and c.status <> 'blocked' or r.action = 'client.deleted' and c.status <> 'deleted'`,

  'straight through': sql.fragment`
    select 'payments.straight_through', 'payments', 'changed', 'is_on', format('last on record %s', r.action)
    from (${last(sql.fragment`action in ('straight_through.on', 'straight_through.off')`)}) r, payments.straight_through s
    where s.is_on <> (r.action = 'straight_through.on')
    union all
    select 'payments.straight_through', 'payments', 'changed', 'check_elsewhere', format('last on record %s', r.action)
    from (${last(sql.fragment`action in ('payment_check.elsewhere', 'payment_check.built_in')`)}) r, payments.straight_through s
    where s.check_elsewhere <> (r.action = 'payment_check.elsewhere')`,
}

const requestRow = z.object({ consent_id: z.string(), request: z.unknown(), told: z.string() })
const pageOf = 1_000

/** What the third party asked for, by the hash of it that was recorded when it was lodged. */
async function compareRequests(tx: Transaction): Promise<Finding[]> {
  const findings: Finding[] = []
  for (let after = ''; ; ) {
    const rows = await tx.any(sql.type(requestRow)`
      select c.consent_id, c.request, r.details ->> 'requestHash' as told
      from consents.consent c join audit.record r on r.subject = c.consent_id and r.action = 'consent.lodged' and r.details ? 'requestHash'
      where c.consent_id > ${after} order by c.consent_id limit ${pageOf}`)
    for (const { consent_id: id, request, told } of rows)
      if (sha256(canonicalJson(request)).toString('base64url') !== told)
        findings.push({ table: 'consents.consent', id, what: 'changed', column: 'request', detail: `its hash on record is ${told}` })
    after = rows.at(-1)?.consent_id ?? ''
    if (rows.length < pageOf) return findings
  }
}

const currencyRow = z.object({ currency: z.string(), minor_digits: z.number() })

/** How many digits an amount has is part of the program. */
async function compareCurrencies(tx: Transaction): Promise<Finding[]> {
  const found = new Map(
    (await tx.any(sql.type(currencyRow)`select currency, minor_digits from ledger.currency`)).map((row) => [
      row.currency,
      row.minor_digits,
    ]),
  )
  const known = new Map<string, number>(Object.entries(minorDigits))
  return [...new Set([...found.keys(), ...known.keys()])].flatMap((id): Finding[] => {
    const [now, told] = [found.get(id), known.get(id)]
    if (now === told) return []
    const what = now === undefined ? 'missing' : told === undefined ? 'inserted' : 'changed'
    return [
      {
        table: 'ledger.currency',
        id,
        what,
        ...(what === 'changed' && { column: 'minor_digits' }),
        detail: `now ${now}, it must be ${told}`,
      },
    ]
  })
}

/** What is sealed next is found by numbers that all tables must count alike; and somebody must be able to seal. */
async function compareCounting(tx: Transaction): Promise<Finding[]> {
  const rows = await tx.any(sql.type(z.object({ id: z.string(), expression: z.string(), added: z.bigint().nullable() }))`
    select format('%s.%s', n.nspname, c.relname) as id, pg_get_expr(d.adbin, d.adrelid) as expression, t.added
    from pg_attribute a join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
      join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace left join ledger.transaction_numbers t on true
    where a.attname = 'written_in' and c.relkind in ('r', 'p')`)
  const counted = rows.flatMap(({ id, expression, added }): Finding[] => {
    const [, more = '0'] = /\+\s*'?\(?(\d+)/.exec(expression) ?? []
    return added !== null && BigInt(more) === added
      ? []
      : [
          {
            table: 'ledger.transaction_numbers',
            id,
            what: 'changed',
            column: 'added',
            detail: `${added}, and the table counts by ${expression}`,
          },
        ]
  })
  const sealing = await tx.exists(sql.unsafe`select from audit.sealing`)
  return sealing ? counted : [...counted, { table: 'audit.sealing', id: 'true', what: 'missing', detail: 'without it nobody seals' }]
}

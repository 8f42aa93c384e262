/** Every table there is, tampered with by who owns the database: verification or reconciliation names it, or it is said why neither does. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type SqlFragment, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import { openCustomerAccount } from '../accounts/open-customer-account.ts'
import { registerClient } from '../clients/register-client.ts'
import { lodgeDomesticPaymentConsent } from '../consents/lodge-domestic-payment-consent.ts'
import { type AccountId, type CustomerId, newAccountId } from '../ids.ts'
import { movementKey } from '../ledger/movement-key.ts'
import { openMovementWriter } from '../ledger/movement-writer.ts'
import { openAccount } from '../ledger/open-account.ts'
import { recordRate } from '../ledger/rate.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { setLimit } from '../limits/set-limit.ts'
import { setStraightThrough } from '../payments/straight-through.ts'
import { gbp, noon } from '../payments/testing/test-bank.ts'
import { appendAudit } from './append-audit.ts'
import { compareTold } from './compare-told.ts'
import { readingSnapshot } from './reading-snapshot.ts'
import { type AuditedBank, openAuditedBank, recordConsent } from './testing/audited-bank.ts'

let bank: AuditedBank
before(async () => {
  bank = await openAuditedBank()
  await fill()
  await bank.sealAndSign()
})
after(() => bank.close())

/** Each kind of row, left as the bank itself leaves it. */
async function fill(): Promise<void> {
  const { owner } = bank
  const paid = await bank.pay()
  const held = await bank.newAccount({ funds: 5_000n })
  const waiting = await bank.submit(
    await bank.newConsent({ debtorAccountId: held, creditorAccountId: await bank.newAccount(), amount: gbp(1000) }),
  )
  await recordConsent(bank, waiting)
  const own = async (kind: 'position' | 'fee', currency: 'GBP' | 'EUR') => {
    const accountId = newAccountId()
    const named = { customerId: null, nickname: kind, holderName: 'Bankside', typeCode: 'OTHR' } as const
    await transact(owner, (tx) => openAccount(tx, { accountId, kind, currency, ...named, now: noon }))
    return accountId
  }
  const positions = { sold: await own('position', 'GBP'), bought: await own('position', 'EUR') }
  const residueTo = await own('fee', 'GBP')
  const rate = { base: 'GBP', quote: 'EUR', source: 'test', quotedAt: noon, units: 115n, scale: 2 } as const
  await transact(owner, (tx) => recordRate(tx, rate))
  const to = await bank.newAccount({ currency: 'EUR' })
  const writer = openMovementWriter(bank.urls.ledgerUrl, { clock: { now: () => noon } })
  const key = movementKey({ clientId: 'x', method: 'COMMAND', endpoint: 'x', key: 'x', request: 'x' })
  const exchange = {
    kind: 'exchange',
    from: held,
    to,
    sold: gbp(1000),
    rate,
    positions,
    residueTo,
    description: 'd',
    reference: 'r',
  } as const
  assert.ok('made' in (await writer.write({ key, operations: [exchange], actor: 'test' })))
  await writer.close()
  await transact(owner, async (tx) => {
    const account = {
      accountId: newAccountId(),
      customerId: paid.customerId,
      nickname: 'n',
      holderName: 'h',
      typeCode: 'CACC',
      now: noon,
    } as const
    await openCustomerAccount(tx, { ...account, first: gbp(0), actor: 'operator' })
    await registerClient(tx, { clientId: 'new-party', profile: 'fapi2_sp', name: 'New', firstParty: false, metadata: {}, now: noon })
    await setStraightThrough(tx, { on: false, actor: 'operator', why: 'test', now: noon })
    await tx.query(sql.unsafe`select payments.leave_to_check_elsewhere()`)
    await appendAudit(tx, { actor: 'worker', action: 'payment_check.elsewhere', subject: 'payments', details: {}, now: noon })
    const limit = {
      scope: 'account',
      subjectId: paid.debtorAccountId,
      channel: undefined,
      period: 'day',
      soft: false,
      setBy: 'bank',
    } as const
    await setLimit(tx, { ...limit, most: gbp(100_000), actor: 'operator', now: noon })
    const consent = await lodgeDomesticPaymentConsent(tx, {
      ...{ clientId: 'third-party', request: { a: 1 }, amount: gbp(1234), now: noon },
      creditor: { name: 'ACME', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000012345678' },
    })
    assert.equal(consent.status, 'AWAU')
    await accessConsent(tx, paid.customerId, paid.debtorAccountId)
  })
  await owner.query(sql.unsafe`
    insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at)
    values ('grant-1', 'third-party', ${paid.customerId}, '', ${sql.timestamp(noon)}, ${sql.timestamp(noon)})`)
  await owner.query(sql.unsafe`update oidc.grant set revoked_at = ${sql.timestamp(noon)}`)
  // A tree of which a node is kept.
  await owner.query(sql.unsafe`
    insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select 'aud_' || lpad(to_hex(n), 32, '0'), ${sql.timestamp(noon)}, 'test', 'test.recorded', 'many', '{}' from generate_series(1, 300) n`)
}

/** As its customer's answer leaves it. */
async function accessConsent(tx: Transaction, customerId: CustomerId, accountId: AccountId): Promise<void> {
  const [id, time] = ['con_00000000000000000000000000000001', sql.timestamp(noon)]
  await tx.query(sql.unsafe`
    insert into consents.consent (consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions, customer_id, authorised_at, grant_id)
    values (${id}, 'third-party', 'account_access', 'AUTH', ${time}, ${time}, ${time}, '{}', '{ReadBalances}', ${customerId}, ${time}, 'g')`)
  await tx.query(sql.unsafe`insert into consents.consent_account values (${id}, ${accountId})`)
  const details = { status: 'AUTH', accounts: [accountId] }
  await appendAudit(tx, { actor: customerId, action: 'consent.authorised', subject: id, details, now: noon })
}

const found = async (): Promise<string> => {
  const [{ findings }, told, discrepancies] = await Promise.all([
    bank.verify(),
    readingSnapshot(bank.owner, compareTold),
    reconcile(bank.owner),
  ])
  return [
    ...[...findings, ...told].map(({ what, table, id, column = '' }) => `${what} ${table} ${id} ${column}`),
    ...discrepancies.map(({ name, subject }) => `${name}: ${subject}`),
  ].join('\n')
}

type Query = ReturnType<typeof sql.unsafe>
type Attack = readonly [change: Query, said: RegExp]

const posted = sql.fragment`where status = 'posted'`
const awaiting = sql.fragment`where status = 'AWAU'`
const paying = sql.fragment`where status = 'COND'`

/** What is done to each, and what must be said. */
const watched: Readonly<Record<string, readonly Attack[]>> = {
  'audit.archive': [
    [
      sql.unsafe`insert into audit.archive values ('record_2019', '', 'aud_f', 1, 1, 0, 'f', repeat('0', 64), now())`,
      /inserted audit\.archive record_2019/,
    ],
  ],
  'audit.checkpoint': [[sql.unsafe`delete from audit.checkpoint`, /missing audit\.checkpoint/]],
  'audit.record': [
    [sql.unsafe`delete from audit.record where action = 'limit.set'`, /missing audit\.record/],
    [sql.unsafe`update audit.record set details = '{}' where action = 'payment.submitted'`, /changed audit\.record aud_\w+ details/],
  ],
  'audit.seal': [
    [sql.unsafe`delete from audit.seal`, /missing audit\.seal/],
    [sql.unsafe`update audit.seal set first_key = 'aud_x'`, /changed audit\.seal leaf 0 first_key/],
    [sql.unsafe`update audit.seal set salt = sha256(salt)`, /changed audit\.record/],
  ],
  'audit.sealing': [[sql.unsafe`delete from audit.sealing`, /missing audit\.sealing/]],
  'audit.tree_node': [[sql.unsafe`update audit.tree_node set hash = sha256(hash)`, /changed audit\.tree_node 8\/0/]],
  'clients.client': [[sql.unsafe`delete from clients.client where client_id = 'new-party'`, /missing clients\.client new-party/]],
  'consents.consent': [
    [sql.unsafe`update consents.consent set amount_minor = 9 ${awaiting}`, /changed consents\.consent con_\w+ amount_minor/],
    [sql.unsafe`update consents.consent set request = '{"a": 2}' ${awaiting}`, /changed consents\.consent con_\w+ request/],
    [sql.unsafe`update consents.consent set client_id = 'other-party' ${awaiting}`, /changed consents\.consent con_\w+ client_id/],
    [
      sql.unsafe`update consents.consent set creditor_identification = 'thief' ${paying}`,
      /changed consents\.consent con_\w+ creditor_identification/,
    ],
    [sql.unsafe`update consents.consent set status = 'AUTH' ${paying}`, /payment whose consent is not consumed/],
    [sql.unsafe`update consents.consent set status = 'CANC' where kind = 'account_access'`, /changed consents\.consent con_0+1 status/],
    [
      sql.unsafe`update consents.consent set customer_id = 'cus_other' where kind = 'account_access'`,
      /changed consents\.consent con_0+1 customer_id/,
    ],
    [sql.unsafe`update consents.consent set status = 'EXPD' ${awaiting}`, /changed consents\.consent con_\w+ status/],
    [sql.unsafe`delete from consents.consent ${awaiting}`, /missing consents\.consent/],
    [sql.unsafe`delete from consents.consent ${paying}`, /payment points at what is not there/],
  ],
  'consents.consent_account': [
    [
      sql.unsafe`insert into consents.consent_account select consent_id, 'acc_other' from consents.consent_account`,
      /inserted consents\.consent_account con_0+1\/acc_other/,
    ],
  ],
  'customers.customer': [[sql.unsafe`delete from customers.customer`, /account points at what is not there/]],
  'events.event': [[sql.unsafe`delete from events.event`, /payment that nobody was told of/]],
  'events.notification': [
    [sql.unsafe`update events.notification set customer_id = 'cus_other'`, /notification points at what is not there/],
  ],
  'ledger.account': [
    [sql.unsafe`update ledger.account set posted_minor = posted_minor + 1`, /posted balance differs/],
    [sql.unsafe`update ledger.account set customer_id = 'cus_other' where nickname = 'n'`, /changed ledger\.account acc_\w+ customer_id/],
    [sql.unsafe`delete from ledger.account where nickname = 'n'`, /missing ledger\.account/],
  ],
  'ledger.currency': [
    [sql.unsafe`update ledger.currency set minor_digits = 3 where currency = 'GBP'`, /changed ledger\.currency GBP minor_digits/],
  ],
  'ledger.entry': [
    [sql.unsafe`update ledger.entry set reference = 'other' where kind = 'exchange'`, /changed ledger\.entry ent_\w+ reference/],
  ],
  'ledger.exchange': [[sql.unsafe`update ledger.exchange set source = 'other'`, /changed ledger\.entry ent_\w+ exchange/]],
  'ledger.hold': [
    [sql.unsafe`update ledger.hold set amount_minor = 1 where status = 'active'`, /held payment without its hold/],
    [sql.unsafe`delete from ledger.hold where status = 'captured'`, /entry points at what is not there/],
  ],
  'ledger.movement': [[sql.unsafe`update ledger.movement set made = 'ent_none'`, /movement that made nothing/]],
  'ledger.posting': [
    [sql.unsafe`update ledger.posting set counterparty_name = 'other'`, /changed ledger\.posting acc_\w+\/\d+ counterparty_name/],
  ],
  'ledger.rate': [[sql.unsafe`update ledger.rate set price_units = 116`, /changed ledger\.rate GBP\/EUR test/]],
  'ledger.transaction_numbers': [
    [sql.unsafe`update ledger.transaction_numbers set added = 1000000`, /changed ledger\.transaction_numbers audit\.record added/],
  ],
  'oidc.grant': [[sql.unsafe`update oidc.grant set revoked_at = null`, /changed oidc\.grant grant-1 revoked_at/]],
  'payments.payment': [
    [sql.unsafe`update payments.payment set client_id = 'other-party' ${posted}`, /changed payments\.payment pay_\w+ client_id/],
    [sql.unsafe`update payments.payment set consent_id = 'con_other' ${posted}`, /changed payments\.payment pay_\w+ consent_id/],
    [
      sql.unsafe`update payments.payment set status = 'rejected', rejection_reason = 'AM04', entry_id = null ${posted}`,
      /changed payments\.payment pay_\w+ status/,
    ],
    [sql.unsafe`update payments.payment set creditor_account_id = 'acc_other' ${posted}`, /posted payment differs from its entry/],
    [sql.unsafe`delete from payments.payment ${posted}`, /missing payments\.payment/],
    [
      sql.unsafe`insert into payments.payment select (jsonb_populate_record(p, '{"payment_id": "pay_00000000000000000000000000000001", "consent_id": "con_x"}')).* from payments.payment p ${posted}`,
      /inserted payments\.payment pay_0+1/,
    ],
  ],
  'payments.spending_limit': [
    [sql.unsafe`update payments.spending_limit set most_minor = 1000000000`, /changed payments\.spending_limit/],
    [sql.unsafe`update payments.spending_limit set ended_at = set_at`, /changed payments\.spending_limit/],
    [sql.unsafe`delete from payments.spending_limit`, /missing payments\.spending_limit/],
  ],
  'payments.spent': [[sql.unsafe`update payments.spent set spent_minor = 1`, /spending is not counted as it was paid/]],
  'payments.straight_through': [
    [
      sql.unsafe`update payments.straight_through set is_on = true, check_elsewhere = false`,
      /changed payments\.straight_through payments is_on/,
    ],
    [
      sql.unsafe`update payments.straight_through set check_elsewhere = false`,
      /changed payments\.straight_through payments check_elsewhere/,
    ],
  ],
}

const shortLived = 'lives for minutes, sealed with a key outside the database (auth-server/storage/forged-rows.test.ts)'
const forgotten = 'remembers what was used, for as long as that could be used again'
const registered = 'registrations are not sealed (SECURITY.md, known limits)'
const personal = 'personal data, in no record; who signs in with it is on record'
const derived = 'follows from what is watched, and decides nothing by itself'
const bankRules = "the bank's own rules, set as the owner; what they decided is on record with each payment"

/** Why neither finds a change in these. */
const unwatched: Readonly<Record<string, string>> = {
  'clients.certificate': registered,
  'clients.initial_access_token': registered,
  'clients.register_entry': 'what a register answered last; it is asked again',
  'clients.registration': registered,
  'clients.remote_document': 'what others publish; it is asked for again',
  'consents.transition': 'what it would allow shows in the consents themselves',
  'customers.beneficiary': personal,
  'customers.sca_challenge': shortLived,
  'customers.session': shortLived,
  'customers.sign_in_attempt': forgotten,
  'customers.totp_step_used': forgotten,
  'housekeeping.analysed_table': derived,
  'housekeeping.generation': derived,
  'housekeeping.partition': derived,
  'housekeeping.partitioned_table': derived,
  'housekeeping.remembering_table': derived,
  'ledger.reconciliation': 'what was found last; the whole is gone through again',
  'oidc.authorization_code': shortLived,
  'oidc.backchannel_authentication_request': shortLived,
  'oidc.backchannel_logout': shortLived,
  'oidc.backchannel_notification': shortLived,
  'oidc.interaction': shortLived,
  'oidc.journey': shortLived,
  'oidc.prompted_customer': forgotten,
  'oidc.pushed_authorization_request': shortLived,
  'oidc.refresh_token': shortLived,
  'oidc.revoked_token': forgotten,
  'oidc.session': shortLived,
  'oidc.used_identifier': forgotten,
  'oidc.used_proof': forgotten,
  'payments.idempotent_request': forgotten,
  'payments.known_to_customer': derived,
  'payments.risk_rule': bankRules,
  'payments.risk_threshold': bankRules,
}

test('each table is watched, or it is said why not', async () => {
  const tables = await bank.owner.anyFirst(sql.unsafe`
    select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema|public)' order by 1`)
  assert.deepEqual([...Object.keys(watched), ...Object.keys(unwatched)].toSorted(), (tables as string[]).toSorted())
})

test('a bank that nobody touched has nothing to tell', async () => {
  assert.equal(await found(), '')
})

/** Those that are written: others follow from them. */
async function columnsOf(name: string): Promise<SqlFragment> {
  const names = await bank.owner.anyFirst(sql.unsafe`
    select attname from pg_attribute where attrelid = ${name}::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`)
  return sql.fragment`${sql.join(
    names.map((column) => sql.identifier([String(column)])),
    sql.fragment`, `,
  )}`
}

for (const [name, attacks] of Object.entries(watched))
  test(`what who owns the database does to ${name} is named`, async () => {
    const [table, columns] = [sql.identifier(name.split('.')), await columnsOf(name)]
    for (const [change, said] of attacks) {
      await bank.tamper(sql.unsafe`create table public.aside as select * from ${table}`, change)
      try {
        assert.match(await found(), said)
      } finally {
        await bank.tamper(
          sql.unsafe`delete from ${table}`,
          sql.unsafe`insert into ${table} (${columns}) select ${columns} from public.aside`,
          sql.unsafe`drop table public.aside`,
        )
      }
    }
  })

test('and each table is as it was', async () => {
  assert.equal(await found(), '')
})

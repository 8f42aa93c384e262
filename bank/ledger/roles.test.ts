import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, openDatabase, sql, sqlState } from '@bankside/service-kit/postgres'
import pg from 'pg'
import { type AccountId, newConsentId, newEntryId, newHoldId } from '../ids.ts'
import { gbp, openTestBank, type TestBank, type TestConsent } from '../payments/testing/test-bank.ts'

let bank: TestBank
let authServer: Database
let account: AccountId
let waiting: TestConsent

before(async () => {
  bank = await openTestBank()
  authServer = await openDatabase(bank.urls.authServerUrl)
  account = await bank.newAccount({ funds: 1_000n })
  waiting = await bank.newConsent({ debtorAccountId: account, amount: gbp(1000), status: 'AWAU' })
  await bank.newConsent({ debtorAccountId: account, amount: gbp(1000) })
})
after(async () => {
  await authServer.end()
  await bank.close()
})

const lodge = (kind: string, status: string) =>
  `insert into consents.consent (consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions,
     amount_minor, currency, creditor_name, customer_id, authorised_at, debtor_account_id)
   select '${newConsentId()}', 'third-party', '${kind}', '${status}', now(), now(), now(), '{}', '{}',
     ${kind === 'account_access' ? 'null, null, null' : `1, 'GBP', 'ACME'`},
     ${status === 'AUTH' ? `customer_id, authorised_at, debtor_account_id from consents.consent where status = 'AUTH' limit 1` : 'null, null, null'}`
const newPayment = 'insert into payments.payment select * from payments.payment'
const everyone = [
  'update audit.record set actor = actor',
  'delete from audit.record',
  'truncate audit.record',
  'select * from audit.record',
  'delete from events.event',
  'delete from events.notification',
  'update events.notification set type = type',
  'update ledger.account set posted_minor = posted_minor',
  'insert into ledger.account select * from ledger.account',
  'insert into ledger.entry select * from ledger.entry',
  'insert into ledger.posting select * from ledger.posting',
  'update ledger.posting set amount_minor = amount_minor',
  'delete from ledger.posting',
  'truncate ledger.posting, ledger.entry, ledger.hold',
  'insert into ledger.hold select * from ledger.hold',
  'update ledger.hold set amount_minor = amount_minor',
  'insert into ledger.currency values ($$XTS$$, 2)',
  'delete from consents.consent',
  'delete from payments.payment',
  'update payments.payment set amount_minor = amount_minor',
  'delete from customers.customer',
  'update customers.customer set password_hash = password_hash',
  'insert into customers.customer select * from customers.customer',
  'update clients.client set status = status',
  'insert into clients.client (client_id) select client_id from clients.client',
  'alter table ledger.posting disable trigger all',
  'set role bankside_worker; reset role; create table public.mine (x int)',
  'insert into consents.transition values ($$transfer$$, $$COND$$, $$AUTH$$)',
  `select ledger.open_account('acc_${'0'.repeat(32)}', null, 'equity', 'GBP', 'n', 'h', 'OTHR', null, null, null, 0, now())`,
  `select ledger.transfer('${newEntryId()}', 'transfer', 'a', 'b', 1, 'GBP', 'd', 'r', null, null, now())`,
  'insert into ledger.movement select * from ledger.movement',
  'insert into ledger.rate values ($$GBP$$, $$EUR$$, $$me$$, now(), 1, 0)',
  'insert into ledger.exchange select * from ledger.exchange',
  `select ledger.write(now(), now(), null::text, ${Array(30).fill('null').join(', ')})`,
  `select ledger.write_payments(now(), ${Array(11).fill('null').join(', ')})`,
  `select ledger.write_holds(now(), null, null, null, null, null, null, null, null, null)`,
]
const hold = `select ledger.place_hold('${newHoldId()}', 'a', 1, 'GBP', now(), now())`
const settle = `select payments.settle(now(), 'worker', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`
const release = `select ledger.release_hold('${newHoldId()}', 'released', now())`

/** What each process must not do, whoever has taken it over. */
const forbidden: Record<'auth-server' | 'resource-api' | 'worker' | 'ledger', readonly string[]> = {
  'auth-server': [
    ...everyone,
    ...[hold, settle, release, newPayment],
    'select * from ledger.account',
    'select * from ledger.posting',
    'update consents.account_to_show set status = status',
    'select * from payments.payment',
    'select * from payments.idempotent_request',
    'select * from events.event',
    lodge('account_access', 'AUTH'),
    lodge('domestic_payment', 'AUTH'),
    lodge('transfer', 'AUTH'),
    `update consents.consent set status = 'COND' where status = 'AUTH'`,
    `update consents.consent set deleted_at = now()`,
    'delete from customers.totp_step_used',
    'update customers.sca_challenge set binding_hash = binding_hash',
    'delete from customers.beneficiary',
  ],
  'resource-api': [
    ...everyone,
    ...[settle, release, newPayment],
    `select ledger.place_holds('{}', '{}', '{}', '{}', now(), now())`,
    'update payments.straight_through set is_on = true',
    'select payments.leave_to_check_elsewhere()',
    'update payments.spent set spent_minor = 0',
    'select payments.lock_parties(null, null)',
    'select password_hash from customers.customer',
    'select totp_secret_sealed from customers.customer',
    'select username from customers.customer',
    'select * from customers.customer',
    'select * from customers.sign_in_attempt',
    'select * from customers.session',
    'select * from customers.sca_challenge',
    'select * from customers.totp_step_used',
    'select payload from oidc.grant',
    'select * from oidc.grant',
    'update oidc.grant set revoked_at = null',
    'select * from oidc.session',
    'select * from oidc.interaction',
    'select * from oidc.authorization_code',
    'select * from oidc.refresh_token',
    'select * from oidc.journey',
    'select * from oidc.pushed_authorization_request',
    'delete from oidc.used_identifier',
    'select metadata from clients.client',
    lodge('domestic_payment', 'AUTH'),
    lodge('transfer', 'AWAU'),
    `update consents.consent set status = 'AUTH', status_updated_at = now() where status = 'AUTH'`,
    'update consents.consent set customer_id = customer_id',
    'update consents.consent set grant_id = grant_id',
    'update consents.consent set amount_minor = amount_minor',
    'insert into consents.consent_account select * from consents.consent_account',
    'update payments.payment set status = status',
    'update events.event set attempts = 0',
    'insert into events.notification select * from events.notification',
    'delete from customers.beneficiary',
    'delete from payments.idempotent_request',
  ],
  worker: [
    ...everyone,
    ...[hold, newPayment],
    'update payments.straight_through set check_elsewhere = false',
    'select * from customers.customer',
    'select full_name from customers.customer',
    'select * from customers.session',
    'select binding_hash from customers.sca_challenge',
    'select payload from oidc.session',
    'select payload from oidc.grant',
    'select payload from oidc.refresh_token',
    'update oidc.grant set expires_at = now()',
    'select * from clients.client',
    lodge('domestic_payment', 'AWAU'),
    `update consents.consent set status = 'AUTH' where status = 'AUTH'`,
    `update consents.consent set status = 'COND' where status = 'AUTH'`,
    'update consents.consent set customer_id = customer_id',
    'update events.event set payload = payload',
    'insert into payments.idempotent_request select * from payments.idempotent_request',
  ],
  // It moves money, by the functions that do so and by no other way, and knows nothing of customers, consents and payments.
  ledger: [
    ...everyone.filter((statement) => !/ledger\.(write|open_account)\(|insert into ledger\.rate/.test(statement)),
    ...[hold, settle, release, newPayment],
    'update ledger.rate set price_units = price_units',
    'delete from ledger.movement',
    'update ledger.movement set made = made',
    'update ledger.account set status = status',
    'delete from ledger.account',
    'insert into events.event select * from events.event',
    'insert into audit.record select * from audit.record',
    'select * from events.event',
    'select * from customers.customer',
    'select * from consents.consent',
    'select * from payments.payment',
    'select * from clients.client',
    'select * from oidc.grant',
  ],
}

for (const [role, statements] of Object.entries(forbidden))
  test(`the ${role} is refused what it must not do (42501)`, async () => {
    const { authServerUrl, resourceApiUrl, workerUrl, ledgerUrl } = bank.urls
    const url = { 'auth-server': authServerUrl, 'resource-api': resourceApiUrl, worker: workerUrl, ledger: ledgerUrl }[role]
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const wrong: string[] = []
    for (const statement of statements) {
      const state = await client.query(statement).then(
        () => 'nothing: it was done',
        (error: pg.DatabaseError) => error.code,
      )
      if (state !== '42501') wrong.push(`${state}: ${statement}`)
    }
    await client.end()
    assert.deepEqual(wrong, [])
  })

test('the authorization server decides on a consent that the resource API can then only spend', async () => {
  const decide = sql.unsafe`
    update consents.consent set status = 'AUTH', status_updated_at = authorised_at where consent_id = ${waiting.consentId}`
  assert.equal(await refusedWith(bank.resourceApi, decide), '42501')
  await authServer.query(decide)
  assert.equal(
    await refusedWith(authServer, sql.unsafe`update consents.consent set status = 'COND' where consent_id = ${waiting.consentId}`),
    '42501',
  )
  await bank.resourceApi.query(sql.unsafe`update consents.consent set status = 'COND' where consent_id = ${waiting.consentId}`)
})

test('the authorization server sees the last digits of a number, never the number', async () => {
  const columns = await authServer.anyFirst(sql.unsafe`
    select column_name from information_schema.columns where table_schema = 'consents' and table_name = 'account_to_show' order by 1`)
  assert.deepEqual(columns, [
    ...['account_id', 'account_number_last_four', 'available_minor', 'currency', 'customer_id', 'holder_name'],
    ...['iban_last_four', 'nickname', 'sort_code', 'status', 'type_code'],
  ])
  assert.equal(await authServer.oneFirst(sql.unsafe`select length(account_number_last_four) from consents.account_to_show limit 1`), 4)
})

const refusedWith = (database: Database, query: ReturnType<typeof sql.unsafe>) =>
  database.query(query).then(
    () => 'nothing: it was done',
    (error: unknown) => sqlState(error),
  )

test('the resource API has the books written by payments.submit alone: of nobody else may it be left out to ask whether a payment names its entry', async () => {
  const granted = await bank.owner.anyFirst(sql.unsafe`
    select proname from pg_proc where proowner = 'bankside_books'::regrole and has_function_privilege('bankside_resource_api', oid, 'execute')`)
  assert.deepEqual(granted, [])
})

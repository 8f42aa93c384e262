import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openDatabase, sql, z } from '@bankside/service-kit/postgres'
import { type AccountId, newLimitId } from '../ids.ts'
import { advancePayments } from './advance-payments.ts'
import type { PaymentOrder } from './payment-order.ts'
import { openPaymentSubmitter } from './payment-submitter.ts'
import { doNotGrow, growTables } from './testing/grow-tables.ts'
import { gbp, noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank({ straightThrough: true })
})
after(() => bank.close())

const copies = 1_000
/** What little more is read: pages of an index that were split, rows of which an earlier version is still there. */
const tolerated = copies / 10

type Reads = ReadonlyMap<string, number>

/** How many rows and index entries were read of what, since the last time. A connection has told all when it is closed. */
async function reads(): Promise<Reads> {
  const rows = await bank.owner.any(sql.type(z.object({ name: z.string(), count: z.bigint() }))`
    select relid::regclass::text as name, seq_tup_read + coalesce(idx_tup_fetch, 0) as count from pg_stat_user_tables
    union all select indexrelid::regclass::text, idx_tup_read from pg_stat_user_indexes`)
  await bank.owner.query(sql.unsafe`select pg_stat_reset()`)
  return new Map(rows.map(({ name, count }) => [name, Number(count)]))
}

const readMore = (than: Reads, reads: Reads, times = 1) =>
  [...reads]
    .map(([name, count]) => ({ name, more: count - times * (than.get(name) ?? 0) }))
    .filter(({ name, more }) => more > tolerated && !doNotGrow.includes(name))
    .map(({ name, more }) => `${name}: ${more}`)

/** Payments that go straight through, those that wait and are led on by the worker, one without funds, one that goes elsewhere; a limit counts. */
async function openProcesses() {
  const payments = openPaymentSubmitter(bank.urls.resourceApiUrl, { clock: { now: () => noon }, lanes: 1 })
  const worker = await openDatabase(bank.urls.workerUrl, { maxConnections: 1 })
  const [poor, from, to] = accounts
  const submit = async (debtorAccountId: AccountId, creditorAccountId: AccountId | undefined, minor: number) => {
    const consent = await bank.newConsent({ debtorAccountId, ...(creditorAccountId && { creditorAccountId }), amount: gbp(minor) })
    const access = { ...consent.access, tokenHash: randomBytes(32) }
    return payments.submit({ ...consent, access, channel: 'uk_v4', key: bank.keyOf(consent, consent.consentId) } as PaymentOrder)
  }
  const pay = async () => {
    for (const straight of [true, false]) {
      await bank.straightThrough(straight)
      await Promise.all([submit(from, to, 1), submit(poor, to, 1), submit(to, undefined, 1)])
    }
    assert.equal(await advancePayments(worker, { now: noon, limit: 100 }), 2)
  }
  const payAndClose = async () => {
    await pay()
    await Promise.all([payments.close(), worker.end()])
  }
  return { pay, payAndClose }
}
let accounts: readonly [AccountId, AccountId, AccountId]

test('what a payment reads does not grow with the bank, in a process that was there before and in one that is new', async () => {
  accounts = [await bank.newAccount(), await bank.newAccount({ funds: 100_000n }), await bank.newAccount({ funds: 100_000n })]
  await bank.owner.query(sql.unsafe`
    insert into payments.spending_limit (limit_id, set_by, scope, subject_id, period, currency, most_minor, is_soft, set_at)
    select ${newLimitId()}, 'customer', 'account', ${accounts[0]}, 'day', 'GBP', 1, false, ${sql.timestamp(noon)}`)
  await bank.owner.query(sql.unsafe`insert into oidc.revoked_token values ('\\x00', 'infinity')`)
  await (await openProcesses()).payAndClose()
  await reads()
  await (await openProcesses()).payAndClose()
  const aPayment = await reads()

  const older = await openProcesses()
  await older.pay()
  const owner = await openDatabase(bank.urls.ownerUrl)
  const grown = await growTables(owner, copies)
  await owner.end()
  for (const table of ['payments.known_to_customer', 'payments.spending_limit', 'consents.consent', 'ledger.posting', 'oidc.revoked_token'])
    assert.ok(grown.includes(table), `${table} did not grow: ${grown.join()}`)
  await reads()
  await older.payAndClose()
  assert.deepEqual(readMore(aPayment, await reads(), 2), [], 'a process from before')
  for (const analysed of [false, true]) {
    if (analysed) await bank.owner.query(sql.unsafe`analyze`)
    await reads()
    await (await openProcesses()).payAndClose()
    assert.deepEqual(readMore(aPayment, await reads()), [], `a new process, ${analysed ? '' : 'not '}analysed`)
  }
})

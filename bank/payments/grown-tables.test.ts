import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openDatabase, sql } from '@bankside/service-kit/postgres'
import { type AccountId, newLimitId } from '../ids.ts'
import { advancePayments } from './advance-payments.ts'
import type { PaymentOrder } from './payment-order.ts'
import { openPaymentSubmitter } from './payment-submitter.ts'
import { growTables, readMore, readsOf } from './testing/grow-tables.ts'
import { gbp, noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank({ straightThrough: true })
})
after(() => bank.close())

const copies = 1_000
const tolerated = 100
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
  await readsOf(bank.owner)
  await (await openProcesses()).payAndClose()
  const aPayment = await readsOf(bank.owner)

  const older = await openProcesses()
  await older.pay()
  const grown = await growTables(bank.owner, copies)
  for (const table of ['payments.known_to_customer', 'payments.spending_limit', 'consents.consent', 'ledger.posting', 'oidc.revoked_token'])
    assert.ok(grown.includes(table), `${table} did not grow: ${grown.join()}`)
  await readsOf(bank.owner)
  await older.payAndClose()
  assert.deepEqual(readMore(aPayment, await readsOf(bank.owner), { tolerated, times: 2 }), [], 'a process from before')
  for (const analysed of [false, true]) {
    if (analysed) await bank.owner.query(sql.unsafe`analyze`)
    await readsOf(bank.owner)
    await (await openProcesses()).payAndClose()
    assert.deepEqual(readMore(aPayment, await readsOf(bank.owner), { tolerated }), [], `a new process, ${analysed ? '' : 'not '}analysed`)
  }
})

/** A child of crash.test.ts: submits payments, posts them and delivers events until it is killed. */
import { text } from 'node:stream/consumers'
import type { AccessDecision } from '@bankside/bank/access/decide-access'
import { deliverEvents } from '@bankside/bank/events/deliver-events'
import type { RequestKey } from '@bankside/bank/idempotency/claim-key'
import { advancePayments } from '@bankside/bank/payments/advance-payments'
import { openPaymentSubmitter } from '@bankside/bank/payments/payment-submitter'
import { openDatabase, sql } from '@bankside/service-kit/postgres'

type Order = {
  readonly access: { readonly accounts: readonly string[] }
  readonly consentId: string
  readonly initiation: unknown
  readonly key: RequestKey
}
type Input = { readonly resourceApiUrl: string; readonly workerUrl: string; readonly orders: readonly Order[]; readonly now: string }

const ordersAtOnce = 3
const input = JSON.parse(await text(process.stdin)) as Input
const now = new Date(input.now)
const worker = await openDatabase(input.workerUrl)
await worker.query(sql.unsafe`select 1`)
const payments = openPaymentSubmitter(input.resourceApiUrl, { clock: { now: () => now } })
process.send?.('working')

await Promise.all([submitAll(), workForEver(), workForEver()])

/** Some at once, so that calls are killed that hold several. */
async function submitAll(): Promise<void> {
  for (let index = 0; index < input.orders.length; index += ordersAtOnce)
    await Promise.all(input.orders.slice(index, index + ordersAtOnce).map(submit))
}

async function submit({ access, ...order }: Order): Promise<void> {
  const opened = { ...access, accounts: new Set(access.accounts) } as unknown as AccessDecision
  await payments.submit({ ...order, access: opened, channel: 'uk_v4' })
}

async function workForEver(): Promise<void> {
  for (;;) {
    await advancePayments(worker, { now, limit: 10 })
    await deliverEvents(worker, { now, limit: 10 })
  }
}

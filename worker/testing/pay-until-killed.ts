/** A child of crash.test.ts: submits payments, posts them and delivers events until it is killed. */
import { text } from 'node:stream/consumers'
import type { AccessDecision } from '@bankside/bank/access/decide-access'
import { deliverEvents } from '@bankside/bank/events/deliver-events'
import { advancePayments } from '@bankside/bank/payments/advance-payments'
import { submitPayment } from '@bankside/bank/payments/submit-payment'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'

type Order = { readonly clientId: string; readonly consentId: string; readonly initiation: unknown }
type Input = { readonly resourceApiUrl: string; readonly workerUrl: string; readonly orders: readonly Order[]; readonly now: string }

const input = JSON.parse(await text(process.stdin)) as Input
const now = new Date(input.now)
const [resourceApi, worker] = await Promise.all([openDatabase(input.resourceApiUrl), openDatabase(input.workerUrl)])
await Promise.all([resourceApi, worker].map((database) => database.query(sql.unsafe`select 1`)))
process.send?.('working')

await Promise.all([submitAll(), workForEver(), workForEver()])

async function submitAll(): Promise<void> {
  for (const { clientId, consentId, initiation } of input.orders) {
    const access = { clientId, consentId } as unknown as AccessDecision
    await transact(resourceApi, (tx) => submitPayment(tx, { access, consentId, channel: 'uk_v4', initiation, now }))
  }
}

async function workForEver(): Promise<void> {
  for (;;) {
    await advancePayments(worker, { now, limit: 10 })
    await deliverEvents(worker, { now, limit: 10 })
  }
}

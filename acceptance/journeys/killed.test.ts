import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { type AgreedPayment, agreePayment, read, shareAccounts, somePayment } from '../rig/consented.ts'
import { isAlive, killHard, pidOf, pidsOf, postgresPid, reconcile, replace, until } from '../rig/processes.ts'
import { hasSterling, openRig, type Rig } from '../rig/rig.ts'
import { type RunningSandbox, startSandbox } from '../sandbox/start-sandbox.ts'
import { getPayment, lodgeAccountAccess, newKey, submitPayment } from '../third-party/uk-open-banking.ts'

/** With a PostgreSQL of its own, as `npm start` has it. The tests go on from each other: what one leaves, the next finds. */
let rig: Rig
let sandbox: RunningSandbox
before(async () => {
  rig = await openRig({ embedded: true })
  sandbox = rig.sandbox
})
after(async () => {
  await sandbox?.remove()
  await rig?.close()
})

const payments = 6
const agreeOn = async (count: number): Promise<AgreedPayment[]> => {
  const agreed: AgreedPayment[] = []
  for (let index = 0; index < count; index++) {
    const person = rig.someone(hasSterling)
    agreed.push(await agreePayment(rig, { person, body: somePayment(rig, { from: person, amount: `1.0${index}` }) }))
  }
  return agreed
}

async function untilAllPosted(agreed: readonly AgreedPayment[], ids: readonly string[]): Promise<void> {
  await until('every payment is posted', async () => {
    const seen = await Promise.all(ids.map((id, index) => getPayment((agreed[index] ?? (agreed[0] as AgreedPayment)).thirdParty, id)))
    return seen.every((payment) => ['ACSC', 'ACCC'].includes(String(payment.at('Data.Status'))))
  })
}

async function assertPaidOnce(ids: readonly string[]): Promise<void> {
  const rows = await rig.ask<{ payment_id: string; entries: string }>(
    'select payment_id, count(*) as entries from ledger.entry where payment_id = any($1) group by payment_id',
    [ids],
  )
  assert.deepEqual(
    rows.map(({ entries }) => Number(entries)),
    ids.map(() => 1),
  )
  assert.match(await reconcile(sandbox), /books agree/i)
}

test('the worker is killed with payments waiting: another takes over and posts each of them once', async () => {
  await rig.ask('update payments.straight_through set is_on = false', [])
  const agreed = await agreeOn(payments)
  const worker = pidOf(sandbox, 'worker')
  const answers = await Promise.all(
    agreed.map(async ({ thirdParty, tokens, consentId, body }, index) => {
      const answer = await submitPayment(thirdParty, tokens.access_token, consentId, body)
      if (index === 1) killHard(worker)
      return answer
    }),
  )
  const ids = answers.map((answer) => answer.textAt('Data.DomesticPaymentId'))
  await untilAllPosted(agreed, ids)
  assert.notEqual(pidOf(sandbox, 'worker'), worker)
  await assertPaidOnce(ids)
  await rig.ask('update payments.straight_through set is_on = true', [])
})

test('RW-ID-02 RW-ID-06 the resource API is killed while payments come in: the same keys again make each payment once', async () => {
  const agreed = await agreeOn(payments)
  const keys = agreed.map(() => newKey())
  const submit = ({ thirdParty, tokens, consentId, body }: AgreedPayment, index: number) =>
    submitPayment(thirdParty, tokens.access_token, consentId, body, keys[index])
  const first = agreed.map(async (payment, index) => {
    const answer = submit(payment, index)
    if (index === payments / 2) killHard(pidOf(sandbox, 'resource-api'))
    return await answer
  })
  const outcomes = await Promise.allSettled(first)
  await until('the resource API is back', async () => (await fetchStatus('/nothing')) !== undefined)
  const again = await Promise.all(agreed.map(submit))
  assert.deepEqual(
    again.map(({ status }) => status),
    agreed.map(() => 201),
    again.map(({ text }) => text).join('\n'),
  )
  const ids = again.map((answer) => answer.textAt('Data.DomesticPaymentId'))
  for (const [index, outcome] of outcomes.entries())
    if (outcome.status === 'fulfilled' && outcome.value.status === 201) assert.equal(outcome.value.at('Data.DomesticPaymentId'), ids[index])
  await untilAllPosted(agreed, ids)
  await assertPaidOnce(ids)
})

test('CX-15 the authorization server is killed between two pages: the customer goes on where she was', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-mtls')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  const started = await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } })
  const customer = rig.customer(rig.someone())
  let page = await customer.answer(await customer.open(started.url))
  assert.equal(page.kind, 'second_factor')
  await replace(sandbox, 'auth-server')
  while (page.callback === undefined && page.kind !== 'message') page = await customer.answer(page)
  assert.ok(page.callback, page.text)
  const tokens = await thirdParty.redeem(started, page.callback)
  assert.equal((await read({ thirdParty, tokens }, '/accounts')).status, 200)
})

test('after kill -9 of the launcher nothing of it runs on, and after the next start consents, tokens and money are as they were', async () => {
  const consented = await shareAccounts(rig)
  const [agreed] = await agreeOn(1)
  assert.ok(agreed)
  const [, ...children] = pidsOf(sandbox)
  const postgres = postgresPid(sandbox)
  killHard(sandbox.launcher.pid ?? 0)
  await until('its processes have ended', () => children.filter((pid) => pid !== postgres).every((pid) => !isAlive(pid)))
  sandbox = await startSandbox({ after: sandbox })
  assert.equal((await read(consented, '/accounts')).status, 200)
  assert.ok((await consented.thirdParty.refresh(consented.tokens.refresh_token ?? '')).access_token)
  const paid = await submitPayment(agreed.thirdParty, agreed.tokens.access_token, agreed.consentId, agreed.body)
  assert.equal(paid.status, 201, paid.text)
  await untilAllPosted([agreed], [paid.textAt('Data.DomesticPaymentId')])
})

test('RW-H-12 PostgreSQL is killed: 503 with Retry-After and without detail; after a restart all is there', async () => {
  const consented = await shareAccounts(rig)
  const [agreed] = await agreeOn(1)
  assert.ok(agreed)
  const key = newKey()
  const paid = await submitPayment(agreed.thirdParty, agreed.tokens.access_token, agreed.consentId, agreed.body, key)
  assert.equal(paid.status, 201, paid.text)
  killHard(postgresPid(sandbox))
  await until('the database is gone', async () => (await read(consented, '/accounts')).status !== 200)
  const refused = await read(consented, '/accounts')
  assert.equal(refused.status, 503, refused.text)
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/)
  assert.doesNotMatch(refused.text, /ECONN|postgres|pg_|127\.0\.0\.1/i)
  await sandbox.interrupt()
  sandbox = await startSandbox({ after: sandbox })
  assert.equal((await read(consented, '/accounts')).status, 200)
  const again = await submitPayment(agreed.thirdParty, agreed.tokens.access_token, agreed.consentId, agreed.body, key)
  assert.equal(again.at('Data.DomesticPaymentId'), paid.at('Data.DomesticPaymentId'))
  await untilAllPosted([agreed], [paid.textAt('Data.DomesticPaymentId')])
  await assertPaidOnce([paid.textAt('Data.DomesticPaymentId')])
})

test('Ctrl-C leaves no process and no description behind, and the books agree', async () => {
  assert.match(await reconcile(sandbox), /books agree/i)
  const pids = pidsOf(sandbox)
  assert.equal(await sandbox.interrupt(), 0, sandbox.output())
  assert.deepEqual(pids.filter(isAlive), [])
  assert.ok(!existsSync(path.join(sandbox.home, 'sandbox.json')))
})

async function fetchStatus(pathname: string): Promise<number | undefined> {
  const { fetch } = await rig.thirdParty('tpp-pkjwt-dpop')
  try {
    return (await fetch(`${rig.description.resource_api}${pathname}`, { method: 'GET' })).status
  } catch {
    return undefined // Nobody listens yet.
  }
}

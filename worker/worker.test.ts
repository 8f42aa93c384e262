import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gbp, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import { freePorts } from '@bankside/service-kit/free-ports'
import { sql } from '@bankside/service-kit/postgres'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
const children: ChildProcess[] = []
after(async () => {
  // A test that fails leaves its process behind.
  for (const child of children) child.kill('SIGKILL')
  await bank.close()
})

type Started = { readonly child: ChildProcess; readonly output: () => string }
function start(file: string, environment: Record<string, string>, args: readonly string[] = []): Started {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  return { child, output: () => output }
}
async function startWorker() {
  const port = await freePorts()
  const { workerUrl } = bank.urls
  const started = start('main.ts', {
    DATABASE_URL: workerUrl,
    OPERATIONS_PORT: String(port),
    NOTIFICATION_KEYS: 'A'.repeat(43),
    LOG_LEVEL: 'info',
  })
  const ended = once(started.child, 'exit').then(() => assert.fail(started.output()))
  assert.deepEqual((await Promise.race([once(started.child, 'message'), ended]))[0], { ready: true })
  ended.catch(() => {}) // From here on it may end.
  return { ...started, origin: `http://127.0.0.1:${port}` }
}
async function stop({ child }: Started): Promise<number | null> {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  return (await ended)[0]
}
async function submit() {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const now = new Date()
  return bank.submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000), now }), { now })
}
const until = async (what: string, holds: () => Promise<boolean>) => {
  for (const deadline = performance.now() + 15_000; !(await holds()); await sleep(20))
    assert.ok(performance.now() < deadline, `not within 15 s: ${what}`)
}

test('a worker without settings names them all and ends', async () => {
  const { child, output } = start('main.ts', {})
  assert.notEqual((await once(child, 'exit'))[0], 0)
  assert.match(output(), /DATABASE_URL is missing/)
  assert.match(output(), /OPERATIONS_PORT is missing/)
  assert.match(output(), /NOTIFICATION_KEYS is missing/)
})

test('the worker posts a payment, tells the customer, answers for its health, and stops when it is told', async () => {
  const { id } = await submit()
  const worker = await startWorker()
  const told = sql.unsafe`select count(*) from events.notification n join events.event e using (event_id) where e.subject = ${id}`
  await until('the customer is told of both', async () => (await bank.owner.oneFirst(told)) === 2n)
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select status from payments.payment where payment_id = ${id}`), 'posted')

  assert.equal((await fetch(`${worker.origin}/health/live`)).status, 200)
  assert.equal((await fetch(`${worker.origin}/health/ready`)).status, 200)
  const metrics = await (await fetch(`${worker.origin}/metrics`)).text()
  assert.match(metrics, /bankside_worker_done_total\{loop="advance payments",process="worker"\} 1/)
  assert.match(metrics, /bankside_reconciliation_timestamp_seconds/)
  assert.doesNotMatch(metrics, /bankside_reconciliation_discrepancies\{/)
  assert.equal(await stop(worker), 0)
  assert.match(worker.output(), /"msg":"stopped"/)
  assert.doesNotMatch(worker.output(), /ACME|Ann Example/)
})

test('a worker takes over what another leaves', async () => {
  const [one, other] = [await startWorker(), await startWorker()]
  one.child.kill('SIGKILL')
  const payments = await Promise.all(Array.from({ length: 10 }, submit))
  const posted = sql.unsafe`
    select count(*) from payments.payment
    where status = 'posted' and payment_id = any (${sql.array(
      payments.map(({ id }) => id),
      'text',
    )})`
  await until('all are posted', async () => (await bank.owner.oneFirst(posted)) === 10n)
  assert.equal(await stop(other), 0)
})

test('a worker stops when the process that started it is gone', async () => {
  const { child } = await startWorker()
  const ended = once(child, 'exit')
  child.disconnect()
  assert.deepEqual(await ended, [0, null])
})

const reconcileIn = async (environment: Record<string, string>, ...args: string[]) => {
  const { child, output } = start('reconcile.ts', environment, args)
  const [code] = await once(child, 'close')
  return { code, text: output() }
}

test('npm run reconcile says that the books agree, or what does not, and where there is nothing to look at', async () => {
  const sound = await reconcileIn({ DATABASE_URL: bank.urls.workerUrl })
  assert.deepEqual([sound.code, /The books agree/.test(sound.text)], [0, true], sound.text)
  assert.match(sound.text, /^GBP {2}\d+ accounts, \d+ postings, customers hold [\d.]+, set aside 0\.00$/m)

  const account = await bank.newAccount()
  await bank.owner.query(sql.unsafe`update ledger.account set posted_minor = 7 where account_id = ${account}`)
  const wrong = await reconcileIn({ DATABASE_URL: bank.urls.ownerUrl })
  assert.equal(wrong.code, 1)
  assert.match(wrong.text, new RegExp(`posted balance differs from the sum of postings:\n {2}${account} {2}kept 7, added up 0`))

  const frozen = await reconcileIn({ DATABASE_URL: bank.urls.ownerUrl }, '--freeze')
  assert.deepEqual([frozen.code, frozen.text.includes(`Frozen until somebody lifts it: ${account}`)], [1, true], frozen.text)
  const lifted = await reconcileIn({ DATABASE_URL: bank.urls.ownerUrl }, 'lift', account, '--why', 'counted by hand')
  assert.match(lifted.text, new RegExp(`^${account} is open again. It had been frozen because: posted balance differs`))
  const again = await reconcileIn({ DATABASE_URL: bank.urls.ownerUrl }, 'lift', account)
  assert.deepEqual([again.code, /^npm run reconcile/.test(again.text)], [2, true])

  const nowhere = await reconcileIn({ BANKSIDE_HOME: join(import.meta.dirname, 'no such folder') })
  assert.equal(nowhere.code, 2)
  assert.match(nowhere.text, /^No sandbox runs in .*npm start/)
  assert.equal((await reconcileIn({ DATABASE_URL: 'postgresql://nobody:x@127.0.0.1:1/none' })).code, 2)
})

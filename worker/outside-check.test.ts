import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { advancePayments, leaseMs } from '@bankside/bank/payments/advance-payments'
import type { Payment } from '@bankside/bank/payments/payment'
import { gbp, later, noon, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import type { PaymentCheck } from '@bankside/bank/risk/payment-check'
import { type Credential, createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { ConfigError, readConfig } from '@bankside/service-kit/config'
import { createGuardedFetch, type GuardedFetchOptions } from '@bankside/service-kit/guarded-fetch'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql } from '@bankside/service-kit/postgres'
import { listen } from '@bankside/service-kit/tls-server'
import { workerSettings } from './config.ts'
import { bankLoops } from './loops.ts'
import { outsideCheck } from './outside-check.ts'
import { outsideCheckGuard, outsideCheckOf } from './outside-check-settings.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

type Question = { nonce: string; payments: { payment_id: string; amount: string; creditor: object }[] }
type Asked = {
  readonly question: Question
  readonly key: string | undefined
  readonly by: string | undefined
  readonly jws: string | undefined
}
type Response = { status?: number; body?: string; headers?: Record<string, string>; never?: boolean }

let bank: TestBank
let authority: Credential
let stranger: Credential
let own: Credential
let server: https.Server
let url: string
const asked: Asked[] = []
let respond: (question: Question) => Response
const signing = generateKeyPairSync('ed25519')

const answers = ({ nonce, payments }: Question, verdict = 'pass', more: object = {}): Response => ({
  body: JSON.stringify({
    format: 'bankside-risk-answer/1',
    nonce,
    answers: payments.map(({ payment_id }) => ({
      payment_id,
      verdict,
      score: 7,
      reasons: [{ rule: 'x', points: 7, words: 'w', fact: 'f' }],
    })),
    ...more,
  }),
})

before(async () => {
  bank = await openTestBank()
  const now = new Date()
  authority = await createAuthority({ commonName: 'Test authority', now })
  stranger = await createAuthority({ commonName: 'Another authority', now })
  const organisation = { name: 'Bankside', identifier: 'PSDGB-FCA-1', directoryId: 'bankside-worker', roles: [] }
  own = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })
  const credential = await issueServerCertificate(authority, { keyKind: 'ec', now })
  const options = { ...credential, ca: authority.cert, requestCert: true, rejectUnauthorized: true }
  server = https.createServer(options, async (request, response) => {
    const body = await text(request)
    const jws = request.headers['content-type'] === 'application/jwt' ? body : undefined
    const question: Question = JSON.parse(jws === undefined ? body : Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
    const by = String((request.socket as TLSSocket).getPeerCertificate().subject['CN'])
    asked.push({ question, key: request.headers['idempotency-key'] as string, by, jws })
    const { status = 200, body: answer = '', headers = {}, never = false } = respond(question)
    if (!never) response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(answer)
  })
  url = `https://localhost:${await listen(server, { port: 0, address: '127.0.0.1' })}/risk`
})
after(async () => {
  server.close()
  server.closeAllConnections()
  await bank.close()
})
afterEach(() => asked.splice(0))

const checkWith = (
  call: GuardedFetchOptions = {},
  changed: { unavailable?: 'review' | 'refuse'; patienceMs?: number; signed?: boolean } = {},
) =>
  outsideCheck({
    ...{ url, unavailable: 'review', patienceMs: 120_000, ...changed },
    signing: changed.signed ? { key: signing.privateKey, kid: 'k' } : undefined,
    call: createGuardedFetch({
      ca: authority.cert,
      credential: own,
      privateHosts: ['localhost'],
      timeoutMs: 2_000,
      maxBytes: 64 * 1024,
      ...call,
    }),
  })

async function held(): Promise<Payment> {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  return bank.submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) }))
}
const standing = async ({ id }: Payment) =>
  bank.owner.one(
    sql.unsafe`select status, step, rejection_reason, risk_score, risk_reasons from payments.payment where payment_id = ${id}`,
  ) as Promise<{
    status: string
    step: string | null
    rejection_reason: string | null
    risk_score: number | null
    risk_reasons: { rule: string; fact: string }[] | null
  }>
const advance = async (check: ReturnType<typeof checkWith>, now = noon) => {
  const faults: string[] = []
  await advancePayments(bank.worker, { now, limit: 10, check, onFault: (error) => faults.push((error as Error).message) })
  return faults
}
/** So that the next test begins with nothing that waits. */
const finish = async (from = noon) => {
  respond = (question) => answers(question)
  await advance(checkWith(), new Date(from.getTime() + leaseMs + 1))
}

test('a payment goes as the check elsewhere says, which knows by its certificate who asks, and is told no name of who pays', async () => {
  const payments = [await held(), await held(), await held()]
  const verdicts = new Map(payments.map(({ id }, index) => [id as string, ['pass', 'review', 'refuse'][index]]))
  respond = (question) => {
    const { body = '' } = answers(question)
    const given = JSON.parse(body)
    for (const one of given.answers) one.verdict = verdicts.get(one.payment_id)
    return { body: JSON.stringify(given) }
  }
  assert.deepEqual(await advance(checkWith()), [])
  const [passed, reviewed, refused] = await Promise.all(payments.map(standing))
  assert.deepEqual([passed?.status, reviewed?.step, refused?.status, refused?.rejection_reason], ['posted', 'review', 'rejected', 'U042'])
  assert.deepEqual([reviewed?.risk_score, reviewed?.risk_reasons?.[0]?.rule], [7, 'x'])
  const [request] = asked
  assert.deepEqual([asked.length, request?.by, request?.question.payments.length], [1, 'bankside-worker', 3])
  assert.equal(request?.question.payments[0]?.amount, '10.00')
  played = request?.question.nonce ?? ''
  assert.doesNotMatch(JSON.stringify(request?.question), /Ann Example/)
})

test('a request is signed where there is a key, for this address and once', async () => {
  await held()
  respond = (question) => answers(question)
  assert.deepEqual(await advance(checkWith({}, { signed: true })), [])
  const [head = '', payload = '', signature = ''] = asked[0]?.jws?.split('.') ?? []
  const key = createPublicKey(signing.privateKey)
  assert.ok(verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url')))
  const { aud, jti, nonce, iat } = JSON.parse(Buffer.from(payload, 'base64url').toString())
  assert.deepEqual([aud, jti, iat], [url, nonce, noon.getTime() / 1000])
})

test('asked again, it is asked the same under the same key, and only as long as it did not answer', async () => {
  await held()
  respond = () => ({ status: 503 })
  assert.deepEqual(await advance(checkWith()), ['it answered 503'])
  assert.deepEqual(await advance(checkWith()), [], 'its lease has not ended')
  respond = (question) => answers(question)
  await advance(checkWith(), later(leaseMs))
  await advance(checkWith(), later(2 * leaseMs))
  assert.equal(asked.length, 2)
  assert.deepEqual(asked[0]?.question.payments, asked[1]?.question.payments)
  assert.equal(asked[0]?.key, asked[1]?.key)
  assert.notEqual(asked[0]?.question.nonce, asked[1]?.question.nonce)
})

/** Of a request that was made and answered before. */
let played = ''
const hostile: Readonly<Record<string, readonly [respond: (question: Question) => Response, said: RegExp, call?: GuardedFetchOptions]>> = {
  slow: [() => ({ never: true }), /there was no whole answer in time/, { timeoutMs: 100 }],
  huge: [() => ({ body: `"${'x'.repeat(70_000)}"` }), /the answer has more than 65536 bytes/],
  'a redirect': [() => ({ status: 307, headers: { location: '/elsewhere' } }), /redirects are not followed/],
  'an error': [(question) => ({ ...answers(question), status: 500 }), /it answered 500/],
  'not JSON': [() => ({ body: 'pass' }), /its answer is not JSON/],
  'another shape': [(question) => answers(question, 'pass', { more: 1 }), /its answer is not what it must be/],
  'a verdict that there is not': [(question) => answers(question, 'maybe'), /its answer is not what it must be: answers\.0\.verdict/],
  'an answer without end': [
    (question) => answers(question, 'pass', { answers: Array.from({ length: 1_001 }, () => ({})) }),
    /its answer is not what it must be/,
  ],
  'about a payment that nobody asked about': [
    (question) => answers({ ...question, payments: [{ payment_id: 'pay_other', amount: '', creditor: {} }] }),
    /about a payment that it was not asked about/,
  ],
  'twice about one': [
    (question) => answers({ ...question, payments: [...question.payments, ...question.payments] }),
    /it answers twice about one payment/,
  ],
  'an answer that was played back': [(question) => answers({ ...question, nonce: played }), /its answer is to another request/],
  'a certificate of another authority': [
    (question) => answers(question),
    /the host did not answer/,
    {
      get ca() {
        return stranger.cert
      },
    },
  ],
  'no certificate of ours': [(question) => answers(question), /the host did not answer/, { credential: undefined }],
  'an address inside that is not allowed': [(question) => answers(question), /an address that is not public/, { privateHosts: [] }],
}

for (const [name, [hostileAnswer, said, call]] of Object.entries(hostile))
  test(`nothing is taken from a check elsewhere that answers with: ${name}`, async () => {
    const payment = await held()
    respond = hostileAnswer
    const faults = await advance(checkWith(call))
    assert.match(faults.join(), said)
    assert.deepEqual([(await standing(payment)).status, (await standing(payment)).step], ['held', 'checks'])
    await finish()
    assert.equal((await standing(payment)).status, 'posted', 'it was asked again')
  })

for (const unavailable of ['review', 'refuse'] as const)
  test(`a payment that waited too long for an answer is given to: ${unavailable}`, async () => {
    const payment = await held()
    const check = checkWith({}, { unavailable, patienceMs: 60_000 })
    respond = () => ({ status: 503 })
    assert.equal((await advance(check)).length, 1)
    assert.equal((await advance(check, later(leaseMs + 1))).length, 1)
    assert.deepEqual(await advance(check, later(2 * leaseMs + 2)), [])
    const { status, step, risk_reasons } = await standing(payment)
    assert.deepEqual([status, step], unavailable === 'review' ? ['held', 'review'] : ['rejected', null])
    if (unavailable === 'review')
      assert.deepEqual(
        risk_reasons?.map(({ rule, fact }) => [rule, fact]),
        [['outside_check_unavailable', 'it answered 503']],
      )
  })

test('of one that it says nothing of, as of one about which it does not answer', async () => {
  const payment = await held()
  respond = (question) => answers({ ...question, payments: [] })
  const check = checkWith({}, { patienceMs: 60_000 })
  assert.match((await advance(check)).join(), /did not answer for 1 payments/)
  await advance(check, later(60_001))
  assert.deepEqual(
    [(await standing(payment)).step, (await standing(payment)).risk_reasons?.[0]?.fact],
    ['review', 'it said nothing of this payment'],
  )
})

test('a check inside the bank is asked without its host being open to the addresses that third parties give', async () => {
  const { cert: RISK_CHECK_CERT = '', key: RISK_CHECK_KEY = '' } = own
  const config = readConfig(workerSettings, {
    ...{ DATABASE_URL: 'postgresql://u:p@h/d', OPERATIONS_PORT: '1', NOTIFICATION_KEYS: 'A'.repeat(43), OUTBOUND_CA: authority.cert },
    ...{ RISK_CHECK_URL: url, RISK_CHECK_CERT, RISK_CHECK_KEY, OUTBOUND_PRIVATE_HOSTS: '' },
  })
  const asking = outsideCheckOf(config)
  assert.ok(asking)
  const payment = await held()
  respond = (question) => answers(question)
  assert.deepEqual(await advance(outsideCheck({ ...asking, call: createGuardedFetch(outsideCheckGuard(config, asking)) })), [])
  assert.equal((await standing(payment)).status, 'posted')
  const ofThirdParties = createGuardedFetch({ ca: config.OUTBOUND_CA, privateHosts: config.OUTBOUND_PRIVATE_HOSTS })
  await assert.rejects(ofThirdParties(url), { code: 'not_allowed' })
  for (const [given, host] of [
    ['https://[::1]:8443/risk', '::1'],
    ['https://risk.internal./', 'risk.internal'],
  ] as const)
    assert.deepEqual(outsideCheckGuard(config, { ...asking, url: given }).privateHosts, [host])
})

test('a worker that was started with it has payments wait for it, and says so; one that was not leaves them, and says what to do', async () => {
  const said: string[] = []
  const log = createLog({ level: 'warn', name: 'worker' }, { write: (line: string) => said.push(line) })
  const metrics = createWorkerMetrics(createMetrics('worker'))
  const licences = { registers: new Map(), silentAtMostMs: 1 }
  const notifications = { call: createGuardedFetch({ ca: undefined, privateHosts: [] }), keys: () => [] }
  const round = (check?: PaymentCheck) => {
    const loops = bankLoops({ database: bank.worker, log, metrics, licences, notifications, check, audit: undefined })
    return loops.find(({ name }) => name === 'advance payments')?.work(noon)
  }
  await bank.straightThrough(true)
  respond = (question) => answers(question)
  assert.equal(await round(), 0)
  assert.deepEqual([await round(checkWith()), said.length], [0, 1])
  assert.match(said[0] ?? '', /payments are checked elsewhere from now on/)
  const payment = await held()
  await assert.rejects(async () => round(), /npm run payments -- check built-in/)
  assert.equal((await standing(payment)).status, 'held')
  assert.deepEqual([await round(checkWith()), (await standing(payment)).status], [1, 'posted'])
})

test('a worker says what its settings lack: a check elsewhere must know who asks', () => {
  const given = { DATABASE_URL: 'postgresql://u:p@h/d', OPERATIONS_PORT: '1', NOTIFICATION_KEYS: 'A'.repeat(43) }
  const read = (more: Record<string, string>) => readConfig(workerSettings, { ...given, ...more })
  assert.equal(outsideCheckOf(read({})), undefined)
  const jwk = JSON.stringify({ ...signing.privateKey.export({ format: 'jwk' }), kid: 'k' })
  const checked = outsideCheckOf(read({ RISK_CHECK_URL: url, RISK_CHECK_SIGNING_KEY: jwk, RISK_CHECK_UNAVAILABLE: 'refuse' }))
  assert.deepEqual([checked?.url, checked?.signing?.kid, checked?.unavailable, checked?.patienceMs], [url, 'k', 'refuse', 120_000])
  for (const wrong of [
    { RISK_CHECK_URL: url },
    { RISK_CHECK_URL: 'http://risk.example/', RISK_CHECK_SIGNING_KEY: jwk },
    { RISK_CHECK_URL: url, RISK_CHECK_CERT: 'pem' },
    { RISK_CHECK_URL: url, RISK_CHECK_SIGNING_KEY: '{"kty":"OKP"}' },
    { RISK_CHECK_UNAVAILABLE: 'pass' },
  ] as Record<string, string>[])
    assert.throws(() => read(wrong), ConfigError, JSON.stringify(wrong))
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { appendAudit } from '@bankside/bank/audit/append-audit'
import { logSigner, logVerifiers, parseAuditKeys, publicAuditKeys } from '@bankside/bank/audit/audit-keys'
import { checkProof } from '@bankside/bank/audit/check-proof'
import { checkpointFile } from '@bankside/bank/audit/checkpoint-file'
import { sealRows } from '@bankside/bank/audit/seal-rows'
import { signTree } from '@bankside/bank/audit/sign-tree'
import { newAuditKeys } from '@bankside/bank/audit/testing/audited-bank'
import type { ConsentId } from '@bankside/bank/ids'
import { openDatabase, sql, sqlState, transact } from '@bankside/service-kit/postgres'
import { assertOwn } from './testing/own-definition.ts'
import { paymentConsentBody } from './testing/payment-bodies.ts'
import type { Answer, TestClient } from './testing/test-client.ts'
import { type Person, startTestWorld, type TestWorld } from './testing/test-world.ts'

const pisp = '/open-banking/v4.0/pisp'
const payments = `${pisp}/domestic-payments`
const folder = mkdtempSync(join(tmpdir(), 'bankside-proofs-'))
const keys = newAuditKeys()
const auditKeysFile = join(folder, 'public-keys.json')
let world: TestWorld
let mine: Awaited<ReturnType<typeof pay>>

before(async () => {
  writeFileSync(auditKeysFile, JSON.stringify(publicAuditKeys(keys)))
  world = await startTestWorld({ auditKeysFile, rates: { perAddress: 1e6, perClient: 1e6, perCustomer: 1e6, writes: 2 } })
  mine = await pay(world.acorn, world.ada)
})
after(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

const key = () => ({ 'x-idempotency-key': randomUUID() })

async function pay(client: TestClient, person: Person) {
  const clientToken = await world.clientToken(client, 'payments')
  const request = paymentConsentBody({ amount: '1.00' })
  const lodged = await client.send('POST', `${pisp}/domestic-payment-consents`, { token: clientToken, body: request, headers: key() })
  const consentId: ConsentId = lodged.body.Data.ConsentId
  const token = await world.authorise(client, consentId, person, [person.accounts[0]?.id as `acc_${string}`])
  const { customerId: actor } = person
  await transact(world.owner, (tx) =>
    appendAudit(tx, { actor, action: 'consent.authorised', subject: consentId, details: { status: 'AUTH' }, now: new Date() }),
  )
  const body = { Data: { ConsentId: consentId, Initiation: request.Data.Initiation }, Risk: request.Risk }
  const made = await client.send('POST', payments, { token, body, headers: key() })
  assert.equal(made.status, 201, made.text)
  await world.finishPayments()
  return { clientToken, token, consentId, paymentId: String(made.body.Data.DomesticPaymentId) }
}

async function sealAll() {
  const unsealed = sql.unsafe`
    select exists (select from audit.record where written_in >= coalesce((select max(before_xact) from audit.seal), 0))`
  for (; await world.owner.oneFirst(unsealed); await sleep(5)) await sealRows(world.owner, { now: new Date() })
  const now = new Date()
  await signTree(world.owner, { log: checkpointFile(join(folder, 'checkpoints.jsonl')), signer: logSigner(keys, now), now })
}

const errors = ({ status, body }: Answer) => [
  status,
  ...(body?.Errors ?? []).map((error: Record<string, string>) => `${error['ErrorCode']} ${error['Path']}`),
]
const proofOf = (paymentId: string) => `${payments}/${paymentId}/proof`
const check = ({ text }: Answer) => checkProof(text, logVerifiers(publicAuditKeys(keys)))

test('a third party is told when to ask again for a proof of a payment that is not sealed yet', async () => {
  const early = await world.acorn.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })
  assert.deepEqual(errors(early), [409, 'U029 DomesticPaymentId'])
  assert.equal(early.headers['retry-after'], '10')
})

test('a third party gets a proof of its own payment, which anybody checks without the bank, and which opens nothing else', async () => {
  await sealAll()
  for (const token of [mine.clientToken, mine.token]) {
    const answer = await world.acorn.send('GET', proofOf(mine.paymentId), { token })
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.headers['content-type'], answer.headers['cache-control']], ['application/json; charset=utf-8', 'no-store'])
    const { proven, problems } = check(answer)
    assert.deepEqual(problems, [])
    assert.match(
      proven.join('\n'),
      new RegExp(`So consent ${mine.consentId} was lodged, authorised and consumed for payment ${mine.paymentId}`),
    )
    for (const hidden of [world.ada.customerId, 'balance_minor', 'posting_number']) assert.ok(!answer.text.includes(hidden), hidden)
    assert.match(check({ ...answer, text: answer.text.replace('"-100"', '"-101"') }).problems.join(), /it does not lead to the checkpoint/)
  }
})

test('whoever has a proof finds there what to check it with, without a token, and never the private part', async () => {
  const answer = await world.acorn.send('GET', '/.well-known/audit-keys.json', {})
  assert.deepEqual([answer.status, answer.body], [200, publicAuditKeys(keys)])
  const proof = await world.acorn.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })
  assert.deepEqual(checkProof(proof.text, logVerifiers(parseAuditKeys(answer.text))).problems, [])
  assert.equal((await world.acorn.send('POST', '/.well-known/audit-keys.json', { body: {} })).status, 405)
  // Renewed; then by mistake whole: what was read last is not given away either.
  const renewed = newAuditKeys()
  const after = async (minutes: number, written: object) => {
    writeFileSync(auditKeysFile, JSON.stringify(written))
    world.clock.offsetMs = minutes * 60_000
    return world.acorn.send('GET', '/.well-known/audit-keys.json', {})
  }
  assert.deepEqual((await after(2, publicAuditKeys(renewed))).body, publicAuditKeys(renewed))
  const whole = await after(4, keys)
  assert.deepEqual([whole.status, whole.text, whole.headers['retry-after']], [503, '', '60'])
  world.clock.offsetMs = 0
})

test('D4 CON-03 nobody gets a proof of a payment of others: another client, a payment that is not there, no token, a blocked client', async () => {
  const theirs = await world.clientToken(world.cobalt, 'payments')
  assert.deepEqual(errors(await world.cobalt.send('GET', proofOf(mine.paymentId), { token: theirs })), [403, 'U011 DomesticPaymentId'])
  assert.deepEqual(errors(await world.acorn.send('GET', proofOf('pay_none'), { token: mine.clientToken })), [400, 'U011 DomesticPaymentId'])
  assert.equal((await world.acorn.send('GET', proofOf(mine.paymentId), {})).status, 401)
  assert.equal((await world.cobalt.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })).status, 401, 'bound to another key')
  const accounts = await world.clientToken(world.acorn, 'accounts')
  assert.equal((await world.acorn.send('GET', proofOf(mine.paymentId), { token: accounts })).status, 403)
  assert.equal((await world.acorn.send('POST', proofOf(mine.paymentId), { token: mine.clientToken, body: {} })).status, 405)
  const become = (status: string) =>
    world.owner.query(sql.unsafe`update clients.client set status = ${status} where client_id = 'acorn-money'`)
  await become('blocked')
  assert.equal((await world.acorn.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })).status, 401)
  await become('active')
})

test("NAT-A10 the bank's own app gets it for the customer who paid, with their side open, and for nobody else", async () => {
  const read = async (person: Person, paymentId: string) =>
    world.app.send('GET', `/api/v1/transactions/${paymentId}/proof`, { token: await world.appToken(person) })
  const own = await read(world.ada, mine.paymentId)
  assert.equal(own.status, 200, own.text)
  assert.deepEqual(check(own).problems, [])
  assert.match(own.text, /"balance_minor"/)
  assert.equal((await read(world.ben, mine.paymentId)).status, 404)
  assert.equal((await read(world.ada, 'pay_none')).status, 404)
  const fresh = await pay(world.acorn, world.ada)
  const early = await read(world.ada, fresh.paymentId)
  assert.deepEqual([early.status, early.body.code, early.headers['retry-after']], [409, 'not_sealed_yet', '10'])
  for (const answered of world.answers.filter(({ path }) => path.startsWith('/api/v1/'))) assertOwn(answered)
})

test('a payment of which a row was changed is proven to nobody: the bank learns of it, the asker nothing', async () => {
  const change = (actor: string) =>
    transact(world.owner, async (tx) => {
      await tx.query(sql.unsafe`set local session_replication_role = replica`)
      await tx.query(
        sql.unsafe`update audit.record set actor = ${actor} where subject = ${mine.paymentId} and action = 'payment.submitted'`,
      )
    })
  await change('nobody')
  const answer = await world.acorn.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })
  await change('acorn-money')
  assert.deepEqual([answer.status, answer.body.Errors[0].ErrorCode], [500, 'U000'])
  assert.match(world.lines.join(''), /audit\.record aud_\w+ is not what was sealed/)
})

test('NAT-A10 who asks for a proof of a payment whose records were archived is told that, and of one whose records are gone nothing', async () => {
  const { paymentId, clientToken } = await pay(world.acorn, world.ada)
  await sealAll()
  await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(sql.unsafe`delete from audit.record where subject = ${paymentId}`)
  })
  const asThirdParty = () => world.acorn.send('GET', proofOf(paymentId), { token: clientToken })
  assert.deepEqual(errors(await asThirdParty()), [500, 'U000 undefined'])
  await world.owner.query(
    sql.unsafe`insert into audit.archive values ('record_old', '', 'aud_g', 1, 9, 1, 'audit.record_old.jsonl.gz', repeat('0', 64), now())`,
  )
  const answer = await asThirdParty()
  assert.deepEqual(errors(answer), [400, 'U011 DomesticPaymentId'])
  assert.match(answer.text, /in the archive: ask the bank/)
  const own = await world.app.send('GET', `/api/v1/transactions/${paymentId}/proof`, { token: await world.appToken(world.ada) })
  assert.deepEqual([own.status, own.body.code], [410, 'archived'])
  assert.equal((await world.acorn.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })).status, 200)
})

test('RW-ST-09 proofs count as what changes anything does', async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => world.acorn.send('GET', proofOf(mine.paymentId), { token: mine.clientToken })),
  )
  const limited = answers.find(({ status }) => status === 429)
  assert.ok(limited?.headers['retry-after'])
})

test('a process that proves reads nothing of the log beyond the payment that it names', async () => {
  const database = await openDatabase(world.apiOptions.databaseUrl)
  for (const refused of [
    sql.unsafe`select * from audit.record`,
    sql.unsafe`select salt from audit.seal`,
    sql.unsafe`select row_index from audit.seal`,
    sql.unsafe`select ledger.count_transactions_on()`,
  ])
    await assert.rejects(database.query(refused), (error) => sqlState(error) === '42501')
  const subjects = await database.anyFirst(
    sql.unsafe`select distinct subject from audit.records_to_prove(${mine.paymentId}) order by subject`,
  )
  assert.deepEqual(subjects, [mine.consentId, mine.paymentId])
  await database.end()
})

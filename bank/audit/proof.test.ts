import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, transact } from '@bankside/service-kit/postgres'
import { lodgeDomesticPaymentConsent } from '../consents/lodge-domestic-payment-consent.ts'
import type { ConsentId } from '../ids.ts'
import { advancePayments } from '../payments/advance-payments.ts'
import type { Payment } from '../payments/payment.ts'
import { gbp, later, noon } from '../payments/testing/test-bank.ts'
import { logVerifiers } from './audit-keys.ts'
import { checkProof } from './check-proof.ts'
import { type Checkpoint, openCheckpoint } from './checkpoint.ts'
import type { ConsistencyProof, PaymentProof } from './proof.ts'
import { provePayment } from './prove.ts'
import { proveConsistency } from './prove-consistency.ts'
import { type Audience, NotSignedYet } from './prove-leaf.ts'
import { sealRows } from './seal-rows.ts'
import { leavesPerSeal } from './stored-tree.ts'
import { type AuditedBank, newAuditKeys, openAuditedBank, recordConsent } from './testing/audited-bank.ts'

let bank: AuditedBank
let payment: Payment
let proof: PaymentProof
let kept: Checkpoint
const verifiers = () => logVerifiers(bank.keys)
const prove = (audience: Audience, { id = payment.id } = {}) =>
  transact(bank.owner, (tx) => provePayment(tx, { paymentId: id, audience, verifiers: verifiers() }))
const check = (changed: unknown) => checkProof(JSON.stringify(changed), verifiers())

before(async () => {
  bank = await openAuditedBank()
  await bank.pay()
  await bank.sealAndSign()
  payment = await bank.pay()
  const signed = await bank.sealAndSign()
  assert.ok(signed)
  kept = signed
  for (let more = 0; more < 3; more++) await bank.pay()
  await bank.sealAndSign()
  proof = await prove('third-party')
})
after(() => bank.close())

const holdOf = ({ leaves }: PaymentProof): string => {
  const [submitted] = leaves.flatMap(({ content }) =>
    content.table === 'audit.record' && content.shown['action'] === 'payment.submitted' ? [content] : [],
  )
  return String(submitted?.details['holdId'])
}

test('a proof leads from the consent to the postings, and says so in plain words', () => {
  const { proven, problems } = check(proof)
  assert.deepEqual(problems, [])
  const text = proven.join('\n')
  for (const said of [
    /^The log audit\.test\/bank had \d+ leaves when it was signed 2026-03-02T12:00:00\.000Z; the signature is good/,
    new RegExp(`consent\\.lodged {2}${payment.consentId} {2}\\(10\\.00 GBP\\)`),
    new RegExp(`consent\\.authorised {2}${payment.consentId}`),
    new RegExp(`payment\\.submitted {2}${payment.id} {2}\\(consentId ${payment.consentId}, holdId ${holdOf(proof)}, status held\\)`),
    new RegExp(`entry ent_\\w+ for payment ${payment.id} out of hold ${holdOf(proof)}:`),
    new RegExp(`whose money was set aside by hold ${holdOf(proof)} and moved by one entry`),
    new RegExp(`-10\\.00 GBP {2}on ${payment.debtorAccountId}`),
    new RegExp(`So consent ${payment.consentId} was lodged, authorised and consumed for payment ${payment.id}`),
  ])
    assert.match(text, said)
})

test('what a proof does not have to show it does not show', async () => {
  const hidden = [payment.customerId, 'balance_minor', 'counterparty_name', 'risk', 'acc_x']
  for (const text of hidden) assert.ok(!JSON.stringify(proof).includes(text), text)
  const [customers, auditors] = [await prove('customer'), await prove('auditor')]
  for (const opened of [customers, auditors]) assert.deepEqual(check(opened).problems, [])
  const balances = (of: PaymentProof) => of.leaves.flatMap(({ opened }) => opened.flatMap(({ columns }) => columns['balance_minor'] ?? []))
  assert.deepEqual([balances(proof), balances(customers), balances(auditors).toSorted()], [[], ['4000'], ['1000', '4000']])
})

/** Every value that stands anywhere in it, as a path. */
function pathsOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, member]) => pathsOf(member, [...path, name]))
}

function changedAt(whole: unknown, path: readonly (string | number)[]): unknown {
  const copy = structuredClone(whole) as Record<string | number, unknown>
  let at = copy
  for (const name of path.slice(0, -1)) at = at[name] as Record<string | number, unknown>
  const last = path.at(-1) as string
  const value = at[last]
  at[last] =
    typeof value === 'number'
      ? value + 1
      : typeof value === 'string' && value !== ''
        ? `${value.slice(0, -2)}${value.at(-2) === 'A' ? 'B' : 'A'}${value.at(-1)}`
        : 'x'
  return copy
}

test('whatever is changed in a proof, it proves nothing any more, and what does not fit is named', async () => {
  const whole = await prove('auditor')
  const paths = pathsOf(whole)
  assert.ok(paths.length > 100)
  for (const path of paths) {
    const { proven, problems } = check(changedAt(whole, path))
    assert.deepEqual([proven, problems.length > 0], [[], true], path.join('.'))
    const [first, index] = path
    if (first === 'leaves' && path[2] === 'content') {
      const leaf = whole.leaves[Number(index)]?.leaf
      assert.ok(
        problems.some((problem) => problem.startsWith(`leaf ${leaf} `) || problem.startsWith(`leaves.${index}.content`)),
        `${path.join('.')}: ${problems}`,
      )
    }
  }
  const amount = whole.leaves.findIndex(({ content }) => content.table === 'ledger.entry')
  assert.match(
    check(changedAt(whole, ['leaves', amount, 'content', 'postings', 0, 'shown', 'amount_minor'])).problems.join(),
    /^leaf \d+ \(entry ent_\w+\): it does not lead to the checkpoint: its content, its number or its path was changed$/,
  )
  assert.match(check({ ...whole, more: 1 }).problems.join(), /more/)
  assert.match(checkProof(JSON.stringify(whole).slice(1), verifiers()).problems.join(), /not JSON/)
})

test('leaves of another payment, of none, or too few of them do not make a proof', async () => {
  const without = (action: string) => ({
    ...proof,
    leaves: proof.leaves.filter(({ content }) => !('shown' in content) || content.shown['action'] !== action),
  })
  assert.match(check(without('consent.authorised')).problems.join(), /nothing shows consent\.authorised/)
  assert.match(check(without('payment.submitted')).problems.join(), /nothing shows that payment pay_\w+ was submitted/)
  assert.match(
    check({ ...proof, leaves: proof.leaves.filter(({ content }) => content.table !== 'ledger.entry') }).problems.join(),
    /its entry is not there/,
  )
  const other = await bank.owner.oneFirst(
    sql.unsafe`select payment_id from payments.payment where payment_id <> ${payment.id} order by payment_id limit 1`,
  )
  const others = await prove('third-party', { id: String(other) as Payment['id'] })
  const entry = others.leaves.filter(({ content }) => content.table === 'ledger.entry')
  const swapped = [...proof.leaves.filter(({ content }) => content.table !== 'ledger.entry'), ...entry]
  assert.match(check({ ...proof, leaves: swapped }).problems.join(), new RegExp(`is of payment ${other}`))
  assert.match(
    check({
      ...proof,
      leaves: [...proof.leaves, ...others.leaves.filter(({ content }) => content.table === 'audit.record')],
    }).problems.join(),
    /is of neither the payment nor its consent/,
  )
})

test("a proof under a key that is not the bank's, or of another log, proves nothing", () => {
  const stranger = (origin: string) => checkProof(JSON.stringify(proof), logVerifiers(newAuditKeys(origin))).problems
  assert.deepEqual(stranger(bank.keys.origin), ['checkpoint: no signature on it is good under the given key'])
  assert.deepEqual(stranger('other.test/bank'), ['checkpoint: it is of the log audit.test/bank, not of other.test/bank'])
})

test('what is not signed yet, or not what was sealed, is not proven', async () => {
  const fresh = await bank.pay()
  await assert.rejects(prove('auditor', fresh), /is not signed yet/)
  await assert.rejects(prove('auditor', { id: 'pay_none' as Payment['id'] }), /there is no payment pay_none/)
  const changed = (to: string) =>
    sql.unsafe`update audit.record set actor = ${to} where subject = ${payment.id} and action = 'payment.submitted'`
  await bank.tamper(changed('nobody'))
  await assert.rejects(prove('auditor'), /audit\.record aud_\w+ is not what was sealed/)
  await bank.tamper(changed('third-party'))
})

test('a checkpoint that somebody kept is shown to be how the log of today began; another history is not', async () => {
  const consistency = await transact(bank.owner, (tx) => proveConsistency(tx, { size: kept.size }, verifiers()))
  const checkKept = (of: ConsistencyProof, from = kept) => checkProof(JSON.stringify(of), verifiers(), from)
  assert.deepEqual(checkKept(consistency).problems, [])
  assert.match(
    checkKept(consistency).proven.join('\n'),
    new RegExp(`begins with the ${kept.size} leaves .*\\nNothing that was sealed by then was changed`),
  )
  for (const path of pathsOf(consistency))
    assert.notDeepEqual(checkKept(changedAt(consistency, path) as ConsistencyProof).problems, [], path.join('.'))
  const earlier = openCheckpoint(
    String(await bank.owner.oneFirst(sql.unsafe`select note from audit.checkpoint order by tree_size limit 1`)),
    verifiers(),
  )
  assert.match(checkKept(consistency, earlier).problems.join(), /from: it is of \d+ leaves; the one that was kept is of \d+/)

  // The bank signs another history for somebody else.
  const other = await openAuditedBank({ keys: bank.keys })
  for (let more = 0; more < 2; more++) await other.pay()
  const [first, last] = [await other.sealAndSign(), await other.pay().then(other.sealAndSign)]
  assert.ok(first && last)
  const forged = await transact(other.owner, (tx) => proveConsistency(tx, { size: first.size }, verifiers()))
  assert.deepEqual(checkKept(forged, first).problems, [])
  assert.match(checkKept(forged, { ...kept, size: first.size }).problems.join(), /has another root: the bank signed two histories/)
  assert.match(checkKept({ ...forged, from: consistency.from }).problems.join(), /path: it does not lead from/)
  await other.close()
  await assert.rejects(
    transact(bank.owner, (tx) => proveConsistency(tx, { size: 1 }, verifiers())),
    /there is no checkpoint of 1 leaves/,
  )
})

test('what is lodged is on record with its amount and the hash of the request, before anybody agrees to it', async () => {
  const consent = await transact(bank.resourceApi, (tx) =>
    lodgeDomesticPaymentConsent(tx, {
      clientId: 'third-party',
      request: { b: 1, a: 2 },
      amount: gbp(1234),
      creditor: { name: 'ACME', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000012345678' },
      now: noon,
    }),
  )
  const details = await bank.owner.oneFirst(sql.unsafe`select details from audit.record where subject = ${consent.id satisfies ConsentId}`)
  const { amountMinor, currency, requestHash } = details as Record<string, string>
  assert.deepEqual([amountMinor, currency, requestHash], ['1234', 'GBP', '02JqwwqH5vemQoIzs8aCmZdoZfpVCOQmfFQVx2r3p3I'])
})

test('a payment that was posted at once is proven like one that was held first, and not without its entry', async () => {
  await bank.straightThrough(true)
  const atOnce = await bank.pay()
  await bank.straightThrough(false)
  await bank.sealAndSign()
  const shown = await prove('third-party', atOnce)
  const { proven, problems } = check(shown)
  assert.deepEqual([atOnce.status, problems], ['posted', []])
  assert.match(
    proven.join('\n'),
    new RegExp(`payment\\.submitted {2}${atOnce.id} {2}\\(consentId ${atOnce.consentId}, entryId ent_\\w+, status posted`),
  )
  assert.match(proven.join('\n'), new RegExp(`entry ent_\\w+ for payment ${atOnce.id}:`))
  const withoutEntry = { ...shown, leaves: shown.leaves.filter(({ content }) => content.table !== 'ledger.entry') }
  assert.deepEqual(check(withoutEntry).problems, ['the payment was posted, and its entry is not there'])
})

test('the way leads through the hold: another hold than the payment was submitted with, or another entry, is no way', async () => {
  const [first, second] = [await bank.pay(), await bank.pay()]
  const hold = async ({ id }: Payment) =>
    String(await bank.owner.oneFirst(sql.unsafe`select hold_id from payments.payment where payment_id = ${id}`))
  const [own, other] = [await hold(first), await hold(second)]
  // Before anything of it is sealed, so that all else fits.
  await bank.tamper(sql.unsafe`update ledger.entry set hold_id = ${other} where payment_id = ${first.id}`)
  await bank.straightThrough(true)
  const atOnce = await bank.pay()
  await bank.straightThrough(false)
  await bank.tamper(sql.unsafe`
    update audit.record set details = details || '{"entryId": "ent_other"}' where subject = ${atOnce.id} and action = 'payment.submitted'`)
  await bank.sealAndSign()
  assert.match(
    check(await prove('third-party', first)).problems.join(),
    new RegExp(`is out of hold ${other}, the payment was submitted with ${own}`),
  )
  assert.match(check(await prove('third-party', atOnce)).problems.join(), /entry ent_\w+ is not ent_other, by which the payment was posted/)
})

test('a payment that was rejected is proven to have moved nothing, and its money to be free again', async () => {
  const from = await bank.newAccount({ funds: 5_000n })
  const rejected = await bank.submit(
    await bank.newConsent({ debtorAccountId: from, creditorAccountId: await bank.newAccount(), amount: gbp(1000) }),
  )
  await recordConsent(bank, rejected)
  await advancePayments(bank.worker, { now: later(2 * 86_400_000), limit: 10 })
  await bank.sealAndSign()
  const { proven, problems } = check(await prove('third-party', rejected))
  assert.deepEqual(problems, [])
  const text = proven.join('\n')
  assert.match(text, /payment\.rejected {2}pay_\w+ {2}\(reason AB03\)/)
  assert.match(text, /hold\.expired {2}hld_\w+ {2}\(10\.00 GBP\)/)
  assert.match(text, /no entry is proven/)
})

test('what comes later in a round that is still being sealed is not signed yet, and nobody has changed it', async () => {
  const late = await bank.pay()
  await bank.owner.query(sql.unsafe`
    insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select 'aud_' || lpad(to_hex(n), 32, '0'), ${sql.timestamp(noon)}, 'test', 'test.recorded', 'many', '{}' from generate_series(1, 5000) n`)
  while ((await sealRows(bank.sealer, { now: noon })) < leavesPerSeal) await sleep(5)
  await bank.sign()
  await assert.rejects(prove('third-party', late), (error) => error instanceof NotSignedYet)
  await bank.sealAndSign()
  assert.deepEqual(check(await prove('third-party', late)).problems, [])
})

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { sql, transact } from '@bankside/service-kit/postgres'
import { newAuditRecordId } from '../ids.ts'
import { firstMovement, followMovements } from '../ledger/follow-movements.ts'
import type { Payment } from '../payments/payment.ts'
import { noon } from '../payments/testing/test-bank.ts'
import { appendAudit } from './append-audit.ts'
import { archivableRecords } from './archive-records.ts'
import { beginLog, CannotBegin, type LogOrder } from './begin-log.ts'
import { checkProof } from './check-proof.ts'
import { type Checkpoint, signCheckpoint } from './checkpoint.ts'
import { checkpointFile, keptCheckpoints } from './checkpoint-file.ts'
import type { PaymentProof } from './proof.ts'
import { provePayment } from './prove.ts'
import { proveConsistency } from './prove-consistency.ts'
import { hasLastSigned } from './sign-tree.ts'
import { type AuditedBank, openAuditedBank } from './testing/audited-bank.ts'

let bank: AuditedBank
let payment: Payment
let proofBefore: PaymentProof
/** As a witness keeps them: of what the database will still have, and of what it will not. */
let kept: Checkpoint
let lost: Checkpoint

before(async () => {
  bank = await openAuditedBank()
  payment = await bank.pay()
  kept = await signed()
  proofBefore = await prove()
  await transact(bank.worker, (tx) => appendAudit(tx, { actor: 'x', action: 'test.recorded', subject: 'unsigned', details: {}, now: noon }))
  await bank.sealAll()
})
after(() => bank.close())

async function signed(): Promise<Checkpoint> {
  const checkpoint = await bank.sealAndSign()
  assert.ok(checkpoint)
  return checkpoint
}
const prove = () =>
  transact(bank.owner, (tx) => provePayment(tx, { paymentId: payment.id, audience: 'third-party', verifiers: bank.verifiers }))
const check = (proof: unknown, from?: Checkpoint) => checkProof(JSON.stringify(proof), bank.verifiers, from)
const consistencyFrom = ({ log, size }: Checkpoint) => transact(bank.owner, (tx) => proveConsistency(tx, { log, size }, bank.verifiers))
const found = async (witnessed: readonly Checkpoint[] = []) =>
  (await bank.verify(undefined, witnessed)).findings.map(({ what, table, id, column }) =>
    [what, table, id, column].filter(Boolean).join(' '),
  )

async function begin(changed: Partial<LogOrder> = {}) {
  const order = {
    kept: await keptCheckpoints(bank.file, bank.verifiers),
    file: checkpointFile(bank.file),
    signer: bank.signer,
    findings: 0,
  }
  return beginLog(bank.owner, { ...order, actor: 'operator ann', why: 'restored from the dump of noon', now: noon, ...changed })
}

/** What is sealed and signed meanwhile is in no dump: the file knows of it, the database does not. */
async function loseWhatIs(done: () => Promise<Checkpoint>): Promise<Checkpoint> {
  const seals = (await bank.owner.oneFirst(sql.unsafe`select count(*) from audit.seal`)) as bigint
  const before = (await bank.owner.oneFirst(sql.unsafe`select ledger.settled_before()`)) as bigint
  const checkpoint = await done()
  const since = sql.fragment`where written_in >= ${before}`
  await bank.tamper(
    sql.unsafe`delete from ledger.posting p using ledger.entry e where e.entry_id = p.entry_id and e.written_in >= ${before}`,
    sql.unsafe`delete from ledger.entry ${since}`,
    sql.unsafe`delete from audit.record ${since}`,
    sql.unsafe`delete from ledger.movement ${since}`,
    sql.unsafe`delete from audit.checkpoint where (log, tree_size) = (${checkpoint.log}, ${checkpoint.size})`,
    sql.unsafe`delete from audit.seal where (log, first_leaf) not in (select log, first_leaf from audit.seal order by log, first_leaf limit ${seals})`,
  )
  return checkpoint
}

/** After a restore PostgreSQL counts from the beginning: as if all that is there had been written much later. */
const countAnew = () =>
  bank.tamper(
    ...[sql.fragment`ledger.entry`, sql.fragment`ledger.movement`, sql.fragment`audit.record`].map(
      (table) => sql.unsafe`update ${table} set written_in = written_in + 1000000000`,
    ),
    sql.unsafe`update audit.seal set from_xact = from_xact + case from_xact when 0 then 0 else 1000000000 end, before_xact = before_xact + 1000000000`,
  )

test('a log that may go on is not left behind', async () => {
  await bank.sign()
  await assert.rejects(begin(), (error) => error instanceof CannotBegin && /the log goes on/.test(error.message))
  await assert.rejects(begin({ kept: [] }), /nothing was signed yet/)
})

test('after a restore nothing is sealed or signed, and both say what to do', async () => {
  lost = await loseWhatIs(async () => {
    await bank.pay()
    return signed()
  })
  await countAnew()
  await assert.rejects(bank.sign(), /the tree has \d+ leaves, and was signed with \d+: after a restore or a failover, npm run audit:begin/)
  await assert.rejects(bank.seal(), /transactions are sealed up to \d+, but the database has come to \d+ only: npm run audit:begin/)
  assert.match((await found()).join(), /missing audit\.checkpoint/)
  assert.equal(await hasLastSigned(bank.sealer, checkpointFile(bank.file)), false, 'so no worker seals over what is lost')
})

test('a log that somebody begins who has the database and no key is not signed, and is named', async () => {
  const withoutKey = { append: () => Promise.reject(new Error('no key')), last: () => Promise.resolve(undefined) }
  await assert.rejects(begin({ file: withoutKey }), /no key/)
  await bank.seal()
  await assert.rejects(bank.sign(), /it begins log 2, which nobody who has the key has begun/)
  assert.ok((await found()).includes('inserted audit.seal leaf 0 of log 2'))
  // Nor where the file is new, or was emptied.
  const text = await readFile(bank.file)
  await writeFile(bank.file, '')
  await assert.rejects(bank.sign(), /nobody who has the key has begun/)
  await writeFile(bank.file, text)
  await assert.rejects(begin({ why: 'another reason' }), /the database is of log 2 already, which nothing outside it knows of/)
})

test('who died before the beginning was signed begins again and finds it begun; then all that is there is sealed again', async () => {
  const { log, ended, met, tree } = await begin()
  assert.deepEqual([log, ended.note, met?.size, tree.size > kept.size], [2, lost.note, met?.size, true])
  assert.equal(await hasLastSigned(bank.sealer, checkpointFile(bank.file)), true)
  const checkpoint = await signed()
  assert.deepEqual([checkpoint.log, checkpoint.origin], [2, 'audit.test/bank/log-2'])
  const { findings, beginnings, unsealed } = await bank.verify(undefined, [kept, lost])
  assert.deepEqual([findings, beginnings.length, unsealed], [[], 1, 0])
})

test('what says how a log began stays in the database: without it no payment could be proven', async () => {
  assert.deepEqual(await transact(bank.worker, archivableRecords), [])
  const inFirst = sql.unsafe`select from audit.record_first where written_in < 0`
  assert.ok(await bank.owner.exists(inFirst), 'it is in the only partition that could be archived')
})

test('no number of a transaction comes twice, and whoever follows the ledger is told of all that comes', async () => {
  const { cursor } = await followMovements(bank.owner, { after: firstMovement, limit: 1_000 })
  const highest = sql.unsafe`select max(before_xact) from audit.seal where log = 1`
  await bank.pay()
  const lowest = (await bank.owner.oneFirst(sql.unsafe`
    select min(written_in) from audit.record where written_in >= ${2n ** 32n} and action = 'payment.submitted'`)) as bigint
  assert.ok(lowest > ((await bank.owner.oneFirst(highest)) as bigint))
  await bank.sealAndSign()
  assert.deepEqual(await found(), [])
  assert.ok(cursor.writtenIn < 2n ** 32n)
})

test('what was paid before is proven in the log of now, with what became of the one before; a proof from then is good as ever', async () => {
  const proof = await prove()
  const { proven, problems } = check(proof, kept)
  assert.deepEqual(problems, [])
  const text = proven.join('\n')
  assert.match(text, /The log audit\.test\/bank\/log-2 had \d+ leaves/)
  assert.match(text, new RegExp(`Log 2 begins anew: audit\\.test/bank was signed last with ${lost.size} leaves at`))
  assert.match(text, /what was signed beyond is not in the database.*Why: restored from the dump of noon/)
  assert.match(text, new RegExp(`So consent ${payment.consentId} was lodged, authorised and consumed for payment ${payment.id}`))
  assert.deepEqual(check(proofBefore).problems, [])

  const { begins, ...without } = proof
  assert.match(check(without).problems.join(), /nothing shows how the log .* follows the one before/)
  assert.ok(begins && 'details' in begins.content)
  const otherwise = (details: object) => ({ ...proof, begins: { ...begins, content: { ...begins.content, details } } })
  const { details } = begins.content
  for (const name of Object.keys(details))
    assert.match(check(otherwise({ ...details, [name]: name.endsWith('Because') ? 'other' : 7 })).problems.join(), /leaf 0/, name)
  assert.match(check({ ...proof, begins: proof.leaves[1] }).problems.join(), /begins: it is not the first leaf/)
  assert.match(check({ ...proof, begins: { ...proof.leaves[0], leaf: 0 } }).problems.join(), /it does not lead to the checkpoint/)
})

test('a checkpoint that somebody kept shows whether the bank hides an end', async () => {
  // Signed by the bank, and beyond the end that the next log names.
  const more = await signCheckpoint(bank.signer, { log: 1, size: lost.size + 5, root: Buffer.alloc(32, 1) }, noon)
  assert.match(
    check(await prove(), more).problems.join(),
    /it says that audit\.test\/bank ended with \d+ leaves; the one that was kept is of/,
  )
  assert.deepEqual(await found([more]), ['changed audit.seal leaf 0 of log 2', `missing audit.seal leaf ${kept.size + 1}`])
  const other = await signCheckpoint(bank.signer, { log: 1, size: lost.size, root: Buffer.alloc(32, 1) }, noon)
  assert.match(check(await prove(), other).problems.join(), /the bank signed two histories/)
  assert.deepEqual(check(await prove(), lost).problems, [])
})

test('a proof of consistency leads from a checkpoint of the earlier log into the later one, as far as it was not lost', async () => {
  const consistency = await consistencyFrom(kept)
  const { proven, problems } = check(consistency, kept)
  assert.deepEqual(problems, [])
  assert.match(proven.join('\n'), /Log 2 begins anew/)
  await assert.rejects(consistencyFrom(lost), /is of what was lost when log 2 began/)
  const [later] = consistency.later ?? []
  assert.ok(later)
  assert.match(check({ ...consistency, later: [{ ...later, checkpoint: kept.note }] }).problems.join(), /leaf 0|does not begin/)
  const second = await signCheckpoint(bank.signer, { log: 2, size: 1, root: Buffer.alloc(32, 1) }, noon)
  assert.match(
    check({ ...consistency, later: [{ ...later, checkpoint: second.note }] }).problems.join(),
    /it does not lead to the checkpoint/,
  )
})

test('a row or a seal of the earlier log that is changed is named as before, and so is the beginning', async () => {
  const record = sql.fragment`where action = 'payment.submitted' and subject = ${payment.id}`
  const recordId = await bank.owner.oneFirst(sql.unsafe`select record_id from audit.record ${record}`)
  const tampered = async (change: ReturnType<typeof sql.unsafe>, back: ReturnType<typeof sql.unsafe>) => {
    await bank.tamper(change)
    const findings = await found()
    await bank.tamper(back)
    assert.deepEqual(await found(), [], 'as it was')
    return findings
  }
  const actor = (name: string) => sql.unsafe`update audit.record set actor = ${name} ${record}`
  assert.deepEqual(await tampered(actor('nobody'), actor('third-party')), [`changed audit.record ${recordId} actor`])
  const salt = sql.unsafe`update audit.seal set leaf_hashes = set_byte(leaf_hashes, 0, get_byte(leaf_hashes, 0) # 1) where (log, first_leaf) = (1, 0)`
  assert.match((await tampered(salt, salt)).join('\n'), /changed audit\.seal leaves 0 to \d+, or before/)
  const why = (from: string, to: string) => sql.unsafe`
    update audit.record set details = replace(details::text, ${from}, ${to})::jsonb where action = 'audit.log_begun'`
  assert.match((await tampered(why('dump', 'pump'), why('pump', 'dump'))).join('\n'), /changed audit\.record aud_\w+ details/)
  const cut = sql.fragment`where log = 1 and first_leaf = (select max(first_leaf) from audit.seal where log = 1)`
  await bank.tamper(sql.unsafe`create table public.aside as select * from audit.seal ${cut}`)
  assert.match(
    (await tampered(sql.unsafe`delete from audit.seal ${cut}`, sql.unsafe`insert into audit.seal select * from public.aside`)).join('\n'),
    /audit\.seal leaves 0 to \d+/,
    'what nobody had signed of it, too',
  )
  const early = newAuditRecordId(noon)
  assert.deepEqual(
    await tampered(
      sql.unsafe`insert into audit.record (record_id, occurred_at, actor, action, subject, details, written_in)
        values (${early}, now(), 'x', 'test.recorded', 'x', '{}', -7)`,
      sql.unsafe`delete from audit.record where record_id = ${early}`,
    ),
    [`inserted audit.record ${early}`],
  )
})

test('a later log that was taken away is missed, and nothing is signed after it', async () => {
  await bank.tamper(
    sql.unsafe`create table public.seals as select * from audit.seal where log = 2`,
    sql.unsafe`delete from audit.seal where log = 2`,
  )
  assert.match((await found()).join('\n'), /missing audit\.checkpoint \d+ of log 2/)
  await assert.rejects(bank.sign(), /it has come to log 1, and log 2 was signed/)
  await bank.tamper(sql.unsafe`insert into audit.seal select * from public.seals`)
  assert.deepEqual(await found(), [])
})

test('a second break is as the first; who kept a checkpoint of the first log is led through both', async () => {
  const again = await loseWhatIs(async () => {
    await bank.pay()
    return signed()
  })
  await assert.rejects(bank.sign(), /was signed with/)
  const { log, met } = await begin({ why: 'failover' })
  assert.equal(log, 3)
  await bank.pay()
  await signed()
  const { findings, beginnings } = await bank.verify(undefined, [kept, lost, again])
  assert.deepEqual([findings, beginnings.map((one) => one.because)], [[], ['restored from the dump of noon', 'failover']])
  assert.deepEqual(check(await consistencyFrom(kept), kept).problems, [])
  assert.ok(met)
  assert.deepEqual(check(await consistencyFrom(met), met).problems, [])
  assert.deepEqual(check(await prove(), kept).problems, [])
})

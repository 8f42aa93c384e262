import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { publicAuditKeys } from '@bankside/bank/audit/audit-keys'
import { type AuditedBank, newAuditKeys, openAuditedBank } from '@bankside/bank/audit/testing/audited-bank'
import type { Payment } from '@bankside/bank/payments/payment'
import { freePorts } from '@bankside/service-kit/free-ports'
import { sql } from '@bankside/service-kit/postgres'

let bank: AuditedBank
let worker: ChildProcess
let payment: Payment
let environment: Record<string, string>
const inFolder = (name: string) => join(bank.folder, name)

/** Runs one of our files to its end. */
async function run(file: string, args: readonly string[] = [], changed: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], { env: { ...environment, ...changed } })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
  const [code] = await once(child, 'close')
  return { code, text }
}

before(async () => {
  bank = await openAuditedBank()
  writeFileSync(inFolder('keys.json'), JSON.stringify(bank.keys))
  writeFileSync(inFolder('public.json'), JSON.stringify(publicAuditKeys(bank.keys)))
  environment = { DATABASE_URL: bank.urls.ownerUrl, AUDIT_KEYS_FILE: inFolder('public.json'), AUDIT_CHECKPOINTS: bank.file }
  payment = await bank.pay()
  worker = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      DATABASE_URL: bank.urls.workerUrl,
      SEALER_DATABASE_URL: bank.urls.sealerUrl,
      AUDIT_KEYS_FILE: inFolder('keys.json'),
      AUDIT_CHECKPOINTS: bank.file,
      OPERATIONS_PORT: String(await freePorts()),
      NOTIFICATION_KEYS: 'A'.repeat(43),
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const isSigned = sql.unsafe`
    select exists (select from audit.checkpoint where tree_size = (select max(first_leaf + leaf_count) from audit.seal))
      and not exists (select from audit.record where written_in >= (select max(before_xact) from audit.seal))`
  for (const deadline = performance.now() + 30_000; (await bank.owner.oneFirst(isSigned)) !== true; await sleep(50))
    assert.ok(performance.now() < deadline, 'nothing was signed within 30 s')
})
after(async () => {
  worker.kill('SIGTERM')
  await once(worker, 'exit')
  await bank.close()
})

test('a worker that has the keys seals and signs; npm run audit:verify says that all is as it was, with public keys alone', async () => {
  assert.ok(existsSync(bank.file))
  const { code, text } = await run('audit-verify.ts')
  assert.equal(code, 0, text)
  assert.match(text, /^(\d+) of \1 leaves read, \d+ checkpoints met; \d+ rows wait to be sealed\.$/m)
  const [, size = ''] = /--since (\d+)/.exec(text) ?? []
  const rest = await run('audit-verify.ts', ['--since', size])
  assert.match(rest.text, /^0 of \d+ leaves read/m)
  assert.match(rest.text, new RegExp(`^What was sealed up to leaf ${size} was taken for verified, archives too`, 'm'))
  assert.equal(rest.code, 0)
})

test('npm run audit:verify names what was changed, with exit status 1', async () => {
  const amount = (sign: 1 | -1) => sql.unsafe`
    update ledger.posting set amount_minor = amount_minor + ${sign} where account_id = ${payment.creditorAccountId}`
  await bank.tamper(amount(1))
  const { code, text } = await run('audit-verify.ts')
  await bank.tamper(amount(-1))
  assert.equal(code, 1, text)
  const client = (to: string) => sql.unsafe`update payments.payment set client_id = ${to} where payment_id = ${payment.id}`
  await bank.tamper(client('other-party'))
  const told = await run('audit-verify.ts')
  await bank.tamper(client('third-party'))
  assert.match(
    told.text,
    new RegExp(`^changed {3}payments\\.payment {2}${payment.id} {2}client_id {2}\\(now other-party, on record third-party\\)$`, 'm'),
  )
  const asSealer = await run('audit-verify.ts', [], { DATABASE_URL: bank.urls.sealerUrl })
  assert.match(asSealer.text, /^NOT VERIFIED: Payments, .* were not compared with the records/m)
  assert.equal(asSealer.code, 3, asSealer.text)
  assert.match(text, new RegExp(`^changed {3}ledger\\.posting {2}${payment.creditorAccountId}/1 {2}amount_minor {2}\\(now "1001"\\)$`, 'm'))
  assert.match(text, /The books are not as they were sealed: 1 finding\./)
})

test('npm run audit:verify finds by a checkpoint that somebody kept that the history is another', async () => {
  const [line = ''] = readFileSync(bank.file, 'utf8').split('\n')
  writeFileSync(inFolder('kept'), JSON.parse(line))
  assert.equal((await run('audit-verify.ts', ['--witness', inFolder('kept')])).code, 0)
  // Another history under the same keys: what the bank's own people could make.
  const other = await openAuditedBank({ keys: bank.keys })
  await other.pay()
  await other.sealAndSign()
  const { code, text } = await run('audit-verify.ts', ['--witness', inFolder('kept')], {
    DATABASE_URL: other.urls.ownerUrl,
    AUDIT_CHECKPOINTS: other.file,
  })
  await other.close()
  assert.equal(code, 1, text)
  assert.match(text, /changed {3}audit\.(seal|checkpoint)|the tree ends with \d+ leaves; .*kept has a checkpoint of \d+/)
})

test('what npm run audit:prove gives away is checked without server and database, and names what was changed in it', async () => {
  const proof = await run('audit-prove.ts', ['--payment', payment.id])
  assert.equal(proof.code, 0, proof.text)
  writeFileSync(inFolder('proof.json'), proof.text)
  const key = await run('audit-prove.ts', ['--public-key'])
  writeFileSync(inFolder('key.json'), key.text)
  assert.doesNotMatch(key.text, /"d"/)
  const check = (name: string) =>
    run('audit-check-proof.ts', [inFolder(name), '--key', inFolder('key.json')], {
      DATABASE_URL: '',
      AUDIT_KEYS_FILE: '',
      AUDIT_CHECKPOINTS: '',
    })
  const good = await check('proof.json')
  assert.equal(good.code, 0, good.text)
  assert.match(good.text, new RegExp(`So consent ${payment.consentId} was lodged, authorised and consumed for payment ${payment.id}`))
  writeFileSync(inFolder('changed.json'), proof.text.replace('"-1000"', '"-1001"'))
  const changed = await check('changed.json')
  assert.deepEqual(
    [changed.code, /leaf \d+ \(entry ent_\w+\): it does not lead to the checkpoint/.test(changed.text)],
    [1, true],
    changed.text,
  )

  const [line = ''] = readFileSync(bank.file, 'utf8').split('\n')
  const consistency = await run('audit-prove.ts', ['--since', String(JSON.parse(line).split('\n')[1])])
  writeFileSync(inFolder('consistency.json'), consistency.text)
  assert.match((await check('consistency.json')).text, /Nothing that was sealed by then was changed/)
  const none = await run('audit-prove.ts', ['--payment', 'pay_none'])
  assert.deepEqual([none.code, none.text], [2, 'There is no proof: there is no payment pay_none.\n'])
})

test('npm run audit:verify says what it lacks, with exit status 2', async () => {
  writeFileSync(inFolder('stranger.json'), JSON.stringify(publicAuditKeys(newAuditKeys(bank.keys.origin))))
  for (const [args, changed, said] of [
    [
      [],
      { AUDIT_KEYS_FILE: inFolder('stranger.json') },
      /A checkpoint in .* cannot be used: no signature on it is good under the given key/,
    ],
    [[], { AUDIT_CHECKPOINTS: inFolder('nothing') }, /There are no checkpoints in .*nothing/],
    [['--since', '3'], {}, /has no checkpoint of 3 leaves to begin from/],
    [['--since', 'x'], {}, /--since is the size of a checkpoint\nusage: npm run audit:verify/],
  ] as const) {
    const { code, text } = await run('audit-verify.ts', args, changed)
    assert.equal(code, 2, text)
    assert.match(text, said)
  }
})

test('npm run audit:begin does not leave a log behind that goes on, and needs to be told why and given the key', async () => {
  const why = ['--why', 'restored']
  for (const [args, changed, said] of [
    [why, { AUDIT_KEYS_FILE: inFolder('keys.json') }, /^No log was begun: the log goes on/m],
    [why, {}, /there is no audit key to sign with now: AUDIT_KEYS_FILE must hold the private part/],
    [[], { AUDIT_KEYS_FILE: inFolder('keys.json') }, /usage: npm run audit:begin -- --why/],
  ] as const) {
    const { code, text } = await run('audit-begin.ts', args, changed)
    assert.equal(code, 2, text)
    assert.match(text, said)
  }
})

test('a worker that is given half of what it takes to seal says what is missing', async () => {
  const { code, text } = await run('main.ts', [], { OPERATIONS_PORT: '1', NOTIFICATION_KEYS: 'A'.repeat(43) })
  assert.notEqual(code, 0)
  assert.match(text, /SEALER_DATABASE_URL is missing/)
})

test('npm run audit:archive puts records that are due into a file, which audit:verify reads when it is told where', async () => {
  const early = await run('audit-archive.ts', ['--to', bank.folder])
  assert.deepEqual([early.code, /^record_first: from 20\d\d-01-01T/.test(early.text)], [0, true], early.text)
  await bank.owner.query(sql.unsafe`
    update housekeeping.partitioned_table set archived_after = now() - interval '1 minute'
      - (select before_time from housekeeping.partition where partition_name = 'record_first') where table_name = 'record'`)
  assert.match((await run('audit-archive.ts')).text, /^record_first: is due/)
  const { code, text } = await run('audit-archive.ts', ['--to', bank.folder])
  assert.equal(code, 0, text)
  assert.match(text, /^record_first: \d+ records are in audit\.record_first\.jsonl\.gz now, and no longer in the database/)
  const [without, within, lost] = await Promise.all(
    [[], ['--archive', bank.folder], ['--archive', inFolder('nothing')]].map((args) => run('audit-verify.ts', args)),
  )
  assert.match(without?.text ?? '', /^NOT VERIFIED: audit\.record_first\.jsonl\.gz was not read: --archive names its folder/m)
  assert.match(without?.text ?? '', /since it was sealed, as far as it was read\.$/m)
  assert.match(within?.text ?? '', /which was read/)
  assert.match(lost?.text ?? '', /^missing .*audit\.archive {2}record_first/m)
  const proofs = await Promise.all(
    [[], ['--archive', bank.folder]].map((args) => run('audit-prove.ts', ['--payment', payment.id, ...args])),
  )
  assert.match(proofs[0]?.text ?? '', /is archived: --archive names the folder/)
  assert.deepEqual([proofs[0]?.code, proofs[1]?.code], [2, 0], proofs[1]?.text)
  assert.deepEqual([without?.code, within?.code, lost?.code], [3, 0, 1], [without?.text, within?.text].join('\n'))
})

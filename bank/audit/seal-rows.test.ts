import assert from 'node:assert/strict'
import { appendFile, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Database, openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import pg from 'pg'
import { noon } from '../payments/testing/test-bank.ts'
import { appendAudit } from './append-audit.ts'
import { logSigner } from './audit-keys.ts'
import { checkpointFile } from './checkpoint-file.ts'
import { readLeaves } from './read-leaves.ts'
import { readRowIndex } from './row-index.ts'
import { sealRows } from './seal-rows.ts'
import { signTree } from './sign-tree.ts'
import { leavesPerSeal, sealsFrom } from './stored-tree.ts'
import { type AuditedBank, newAuditKeys, openAuditedBank } from './testing/audited-bank.ts'

let bank: AuditedBank
let otherSealer: Database
before(async () => {
  bank = await openAuditedBank()
  otherSealer = await openDatabase(bank.urls.sealerUrl, { maxConnections: 2 })
})
after(async () => {
  await otherSealer.end()
  await bank.close()
})

/** @param then runs before the commit. */
const record = (subject: string, then: () => unknown = () => {}) =>
  transact(bank.worker, async (tx) => {
    const id = await appendAudit(tx, { actor: 'test', action: 'test.recorded', subject, details: {}, now: noon })
    await then()
    return id
  })
const sealedKeys = async () =>
  (await transact(bank.sealer, (tx) => sealsFrom(tx, 1, 0, 10_000))).flatMap(
    ({ rowIndex }) => readRowIndex(rowIndex)?.map(({ key }) => key) ?? [],
  )

/** Several statements, as a migration has them. */
async function withClient(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(text)
  await client.end()
}

test('a row that is committed late is sealed all the same, before what was begun after it', async () => {
  const [written, late] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const slow = record('slow', () => {
    written.resolve()
    return late.promise
  })
  await written.promise
  const quick = await record('quick')
  await bank.seal()
  assert.ok(!(await sealedKeys()).includes(quick), 'nothing is sealed beyond a transaction that is still running')
  late.resolve()
  const slowId = await slow
  await bank.sealAll()
  const keys = await sealedKeys()
  assert.deepEqual([keys.filter((key) => key === slowId).length, keys.filter((key) => key === quick).length], [1, 1])
})

test('of rows that many write at once, in any order of commits, by several who seal, each is sealed once', async () => {
  const recorded: string[] = []
  const writing = Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; round < 25; round++) {
        const pause = () => sleep(Math.random() * 12)
        const undone = () => Promise.reject(new Error('undone'))
        if (round % 5 === 4) await assert.rejects(record(`writer ${writer}`, undone), /undone/)
        else recorded.push(await record(`writer ${writer}`, pause))
      }
    }),
  )
  let isWriting = true
  void writing.finally(() => (isWriting = false))
  const sealing = [bank.sealer, otherSealer].map(async (database, index) => {
    while (isWriting) {
      await sealRows(database, { now: noon })
      if (index === 0) await bank.sign()
      await sleep(2)
    }
  })
  await Promise.all([writing, ...sealing])
  await bank.sealAndSign()
  const keys = await sealedKeys()
  assert.equal(new Set(keys).size, keys.length, 'none twice')
  assert.deepEqual(
    recorded.filter((id) => !keys.includes(id)),
    [],
    'none missed',
  )
  assert.deepEqual((await bank.verify()).findings, [])
})

test('what is sealed after a transaction in parts is verified as it was sealed, also beside the last part, which is small', async () => {
  await bank.owner.query(sql.unsafe`
    insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select 'aud_' || lpad(to_hex(n), 32, '0'), ${sql.timestamp(noon)}, 'test', 'test.recorded', 'many', '{}'
    from generate_series(1000001, ${1_000_000 + leavesPerSeal + 100}) n`)
  await bank.sealAndSign()
  // Entries come before records, so behind the last part of those there would be none.
  await bank.pay()
  await bank.sealAndSign()
  const ended = await transact(bank.sealer, (tx) => sealsFrom(tx, 1, 0, 10_000))
  assert.ok(ended.findIndex(({ endsRound }) => !endsRound) < ended.length - 2, 'a part, the last part, and what came after')
  assert.deepEqual((await bank.verify()).findings, [])
})

test('a transaction that wrote more than a seal holds is sealed in parts, and verified in parts', async () => {
  const count = 2 * 4_096
  await bank.owner.query(sql.unsafe`
    insert into audit.record (record_id, occurred_at, actor, action, subject, details)
    select 'aud_' || lpad(to_hex(n), 32, '0'), ${sql.timestamp(noon)}, 'test', 'test.recorded', 'many', '{}' from generate_series(1, ${count}) n`)
  const before = (await bank.verify()).leaves
  await bank.sealAndSign()
  const { findings, leaves, unsealed } = await bank.verify()
  assert.deepEqual([findings, leaves - before, unsealed], [[], count, 0])
  // As a database has it that was sealed before seals said what they begin with.
  const firstKeys = () =>
    bank.owner.any(sql.unsafe`select first_leaf, first_table, first_key from audit.seal where not ends_round order by first_leaf`)
  const said = await firstKeys()
  assert.ok(said.length > 0)
  await bank.tamper(sql.unsafe`update audit.seal set first_table = null, first_key = null`)
  await withClient(bank.urls.ownerUrl, await readFile(join(import.meta.dirname, '../../migrations/0161_first_keys_of_seals.sql'), 'utf8'))
  assert.deepEqual([await firstKeys(), (await bank.verify()).findings], [said, []])
  await bank.tamper(sql.unsafe`delete from audit.record where record_id = ${`aud_${(4_096).toString(16).padStart(32, '0')}`}`)
  assert.deepEqual(
    (await bank.verify()).findings.map(({ what, id }) => `${what} ${id}`),
    [`missing aud_${(4_096).toString(16).padStart(32, '0')}`],
  )
})

test('a process that died between the file and the database, or in the middle of a line, is made good', async () => {
  const [size] = (await bank.owner.anyFirst(sql.unsafe`select tree_size from audit.checkpoint order by tree_size desc limit 1`)) as bigint[]
  await bank.tamper(sql.unsafe`delete from audit.checkpoint where tree_size = ${size as bigint}`)
  await appendFile(bank.file, '"audit.test/bank\\n12')
  await record('after')
  await bank.sealAndSign()
  const stored = await bank.owner.anyFirst(sql.unsafe`select tree_size from audit.checkpoint order by tree_size desc limit 2`)
  assert.equal(stored[1], size)
  assert.deepEqual(
    (await bank.verify()).findings.map(({ table }) => table),
    ['audit.record'],
    'of the test before',
  )
})

test('a second process keeps every checkpoint of the first in a file of its own, and signs on', async () => {
  const log = checkpointFile(`${bank.folder}/other.jsonl`)
  await record('other')
  // A transaction of another test, in another database of this server, may still be older.
  while ((await sealRows(otherSealer, { now: noon })) === 0) await sleep(5)
  const signed = await signTree(otherSealer, { log, signer: logSigner(bank.keys, noon), now: noon })
  assert.ok(signed)
  assert.equal(await bank.sign(), undefined, 'what one has signed the other need not sign again')
  const lines = async (path: string) => (await readFile(path, 'utf8')).split('\n').filter((line) => line.endsWith('"'))
  assert.deepEqual(await lines(`${bank.folder}/other.jsonl`), await lines(bank.file))
  await rm(`${bank.folder}/other.jsonl`)
})

test('nobody else can sign for the log: a checkpoint under another key is none', async () => {
  await record('stranger')
  await bank.sealAll()
  const stranger = logSigner(newAuditKeys(bank.keys.origin), noon)
  const log = checkpointFile(`${bank.folder}/stranger.jsonl`)
  await assert.rejects(signTree(bank.sealer, { log, signer: stranger, now: noon }), /no signature on it is good/)
  await truncate(bank.file, 0)
  assert.ok(await bank.sign(), 'a file that is new takes over what the database has')
})

test('the columns of rows are read in the order of their names, in which they are hashed', async () => {
  await bank.pay()
  const leaves = await transact(bank.sealer, (tx) => readLeaves(tx, { fromXact: 0n, beforeXact: 2n ** 62n, limit: 1_000 }))
  const names = new Set(
    leaves.flatMap((leaf) => [leaf.row, ...(leaf.table === 'ledger.entry' ? leaf.postings : [])].map((row) => Object.keys(row).join())),
  )
  assert.ok(names.size >= 3, 'of entries, postings and records')
  for (const read of names) assert.equal(read, read.split(',').sort().join())
})

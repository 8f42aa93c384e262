import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { freePorts } from '@bankside/service-kit/free-ports'
import { migrate } from '@bankside/service-kit/migrate'
import { type Database, openDatabase, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { setRolePasswords, urlAs } from '@bankside/service-kit/role-passwords'
import { logSigner, logVerifiers } from '../../audit/audit-keys.ts'
import { checkpointFile, keptCheckpoints } from '../../audit/checkpoint-file.ts'
import { sealRows } from '../../audit/seal-rows.ts'
import { signTree } from '../../audit/sign-tree.ts'
import { leavesPerSeal } from '../../audit/stored-tree.ts'
import { newAuditKeys } from '../../audit/testing/audited-bank.ts'
import { verifyAudit } from '../../audit/verify-audit.ts'
import { type AccountId, newAccountId } from '../../ids.ts'
import { firstMovement, followMovements, type MovementCursor } from '../follow-movements.ts'
import { openAccount } from '../open-account.ts'
import { reconcile } from '../reconcile.ts'
import type { CrashAnswer, CrashOrder } from './move-until-killed.ts'

const accountCount = 12
const inFlight = 40
const longestMs = 150

/**
 * Kills the writing process and PostgreSQL itself, in turn and at random moments under load, each time without warning, and looks
 * into the books: nothing that was answered is lost, nothing was done twice, nothing is half done. What was asked and not
 * answered is asked again.
 */
export async function runCrashes(rounds: number): Promise<{ readonly answered: number; readonly again: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'bankside-crash-'))
  const settings = { folder, port: await freePorts(), database: 'crash' }
  let server = await startEmbeddedPostgres(settings)
  const ledgerUrl = urlAs(server.url, 'bankside_ledger')
  const watch: Watch = { made: new Map(), waiting: new Set(), highest: 0, again: 0, told: new Set(), cursor: firstMovement }
  const sealing = openSealing(join(folder, 'checkpoints.jsonl'))
  let child: ChildProcess | undefined
  try {
    await migrate(server.url, join(import.meta.dirname, '../../../migrations'))
    await setRolePasswords(server.url)
    const accounts = await withOwner(server.url, openAccounts)
    for (let round = 1; round <= rounds; round++) {
      child ??= startChild(watch, { databaseUrl: ledgerUrl, accounts, inFlight })
      await Promise.race([once(child, 'message'), once(child, 'exit').then(() => assert.fail('the writing process ended by itself'))])
      await sleep(20 + Math.random() * longestMs)
      if (round % 2 === 0) {
        await killPostgres(folder)
        server = await startEmbeddedPostgres(settings)
      } else {
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
        child = undefined
      }
      await withOwner(server.url, (owner) => check(owner, watch))
      await withOwner(server.url, sealing.sealAndSign)
    }
    child?.kill('SIGKILL')
    await withOwner(server.url, (owner) => checkAllTold(owner, watch))
    await withOwner(server.url, sealing.sealAndSign)
    await withOwner(server.url, sealing.check)
    return { answered: watch.made.size, again: watch.again }
  } finally {
    child?.kill('SIGKILL')
    // Killed, it has nothing more to write.
    await killPostgres(folder)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The audit tree grows between the crashes, whatever is written meanwhile; in the end every row is in it, as it was when it was sealed. */
function openSealing(path: string) {
  const keys = newAuditKeys()
  const [log, verifiers, now] = [checkpointFile(path), logVerifiers(keys), new Date()]
  return {
    async sealAndSign(owner: Database): Promise<void> {
      while ((await sealRows(owner, { now })) === leavesPerSeal);
      await signTree(owner, { log, signer: logSigner(keys, now), now })
    },
    async check(owner: Database): Promise<void> {
      const checkpoints = (await keptCheckpoints(path, verifiers)).map((checkpoint) => ({ ...checkpoint, from: 'the file' }))
      const { findings, leaves, unsealed } = await verifyAudit(owner, { verifiers, checkpoints })
      assert.deepEqual([findings, unsealed, leaves, checkpoints.length > 0], [[], 0, checkpoints.at(-1)?.size, true])
    },
  }
}

type Watch = {
  readonly made: Map<number, readonly string[]>
  readonly waiting: Set<number>
  highest: number
  again: number
  /** Ids that came by the outbox, which is read on from where it was, whoever was killed. */
  readonly told: Set<string>
  cursor: MovementCursor
}

function startChild(watch: Watch, order: Pick<CrashOrder, 'databaseUrl' | 'accounts' | 'inFlight'>): ChildProcess {
  const child = fork(join(import.meta.dirname, 'move-until-killed.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child.on('message', (answer: CrashAnswer) => {
    if ('asked' in answer) {
      watch.waiting.add(answer.asked)
      watch.highest = Math.max(watch.highest, answer.asked)
    } else {
      watch.waiting.delete(answer.answered)
      watch.made.set(answer.answered, answer.made)
    }
  })
  const again = [...watch.waiting]
  watch.again += again.length
  // Some that it asked it may have had no time to tell of: far from those of any other.
  child.send({ ...order, again, from: watch.highest + 1_000 } satisfies CrashOrder)
  return child
}

/** Its processes by their numbers, the first one first. */
async function killPostgres(folder: string): Promise<void> {
  const postmaster = Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
  // Stopped, it starts no other that we would not know of.
  if (isAlive(postmaster)) process.kill(postmaster, 'SIGSTOP')
  const all = [postmaster, ...childrenOf(postmaster)]
  for (const pid of all) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  // The first one is a child of ours: until it is waited for, it looks as if it still ran.
  while (all.some(isAlive) || statOf(postmaster).length > 0) await sleep(5)
}

function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => Number(statOf(pid)[1]) === parent)
}

function isAlive(pid: number): boolean {
  if (process.platform === 'linux') return !['', 'Z'].includes(statOf(pid)[0] ?? '')
  try {
    return process.kill(pid, 0)
  } catch {
    return false // It has ended.
  }
}

/** State and parent, and more. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
  } catch {
    return [] // It has ended.
  }
}

async function withOwner<Result>(url: string, work: (owner: Database) => Promise<Result>): Promise<Result> {
  const owner = await openDatabase(url, { maxConnections: 1 })
  try {
    return await work(owner)
  } finally {
    await owner.end()
  }
}

async function openAccounts(owner: Database): Promise<AccountId[]> {
  const accounts = Array.from({ length: accountCount }, () => newAccountId())
  await transact(owner, async (tx) => {
    for (const accountId of accounts)
      await openAccount(tx, {
        accountId,
        customerId: null,
        kind: 'internal',
        currency: 'GBP',
        nickname: 'n',
        holderName: 'h',
        typeCode: 'OTHR',
        now: new Date(),
      })
  })
  return accounts
}

const movementRow = z.object({ made: z.string() })
const countRow = z.object({ entries: z.bigint(), holds: z.bigint(), anonymous: z.bigint(), recorded: z.bigint(), sum: z.bigint() })

/** At one moment: a writer that was not killed goes on meanwhile. */
async function check(owner: Database, watch: Watch): Promise<void> {
  const made = [...watch.made]
  await transact(owner, async (tx) => {
    await tx.query(sql.unsafe`set transaction isolation level repeatable read, read only`)
    await checkMovements(tx, made)
  })
  assert.deepEqual(await reconcile(owner), [])
  await followOn(owner, watch)
}

const pageOf = 500

async function followOn(owner: Database, watch: Watch): Promise<void> {
  for (;;) {
    const { movements, cursor } = await followMovements(owner, { after: watch.cursor, limit: pageOf })
    for (const id of movements.flatMap(({ made }) => made)) {
      assert.ok(!watch.told.has(id), `${id} was told of twice`)
      watch.told.add(id)
    }
    watch.cursor = cursor
    if (movements.length < pageOf) return
  }
}

/** Once whoever wrote is gone, its last transactions too. */
async function checkAllTold(owner: Database, watch: Watch): Promise<void> {
  while ((await owner.oneFirst(sql.unsafe`select count(*) from pg_stat_activity where usename = 'bankside_ledger'`)) !== 0n) await sleep(20)
  await followOn(owner, watch)
  const ids = await owner.anyFirst(sql.unsafe`select entry_id from ledger.entry union all select hold_id from ledger.hold`)
  assert.deepEqual(new Set(ids), watch.told)
}

async function checkMovements(tx: Transaction, made: readonly (readonly [number, readonly string[]])[]): Promise<void> {
  const rows = await tx.any(sql.type(movementRow)`select made from ledger.movement`)
  const known = new Set(rows.flatMap((row) => row.made.split(' ')).filter((id) => id !== ''))
  for (const [number, ids] of made)
    for (const id of ids) assert.ok(known.has(id), `movement ${number} was answered with ${id}, which is lost`)
  const { entries, holds, anonymous, recorded, sum } = await tx.one(sql.type(countRow)`
    select (select count(*) from ledger.entry) as entries, (select count(*) from ledger.hold) as holds,
      (select count(*) from ledger.entry where actor is null) as anonymous,
      (select count(distinct id) from audit.record r, jsonb_array_elements_text(r.details -> 'made') id where id like 'hld%') as recorded,
      (select coalesce(sum(posted_minor), 0) from ledger.account) as sum`)
  // Each entry and hold belongs to one movement, so nothing was done twice; and it is on record who asked.
  assert.equal(entries + holds, BigInt(known.size), 'an entry or hold is of no movement')
  assert.deepEqual([recorded, anonymous, sum], [holds, 0n, 0n])
}

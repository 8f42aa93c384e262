/**
 * `npm run audit:verify`: reads what was booked and recorded again, compares it with the sealed tree and the tree with all that
 * was signed, and other tables with what the records say of them, and names what does not fit. `--since SIZE` begins at a checkpoint,
 * `--witness FILE` brings one that was kept elsewhere, `--archive FOLDER` has the records that were archived (audit-archive.ts). On a
 * replica, too.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Archive } from '@bankside/bank/audit/archive'
import { logVerifiers } from '@bankside/bank/audit/audit-keys'
import { inWordsOf } from '@bankside/bank/audit/check-leaf'
import type { Finding } from '@bankside/bank/audit/compare-rows'
import { compareTold } from '@bankside/bank/audit/compare-told'
import { readingSnapshot } from '@bankside/bank/audit/reading-snapshot'
import { missingCheckpoints, storedCheckpoints } from '@bankside/bank/audit/stored-checkpoints'
import { verifyArchive } from '@bankside/bank/audit/verify-archive'
import { verifyAudit } from '@bankside/bank/audit/verify-audit'
import { type Database, openDatabase, sqlState } from '@bankside/service-kit/postgres'
import { auditCommand, auditSources, checkpointsIn, printFindings } from './audit-command.ts'
import { Complaint, print } from './commands/run-command.ts'

const exitCodes = { sound: 0, tampered: 1 } as const
const insufficientPrivilege = '42501'
const tellEveryLeaves = 1_000_000

process.exitCode = await auditCommand(verify)

async function verify(): Promise<number> {
  const { since, witnesses, archive } = readArguments()
  const { databaseUrl, keys, checkpointsPath } = await auditSources()
  const verifiers = logVerifiers(keys)
  const kept = await checkpointsIn(checkpointsPath, 'the file', verifiers)
  const witnessed = (await Promise.all(witnesses.map((path) => checkpointsIn(path, path, verifiers)))).flat()
  const log = kept.at(-1)?.log
  const start = since === undefined ? undefined : kept.find((checkpoint) => checkpoint.size === since && checkpoint.log === log)
  if (since !== undefined && start === undefined)
    throw new Complaint(`${checkpointsPath} has no checkpoint of ${since} leaves to begin from.`)

  const database = await openDatabase(databaseUrl, { maxConnections: 2 })
  try {
    const stored = await storedCheckpoints(database, verifiers)
    let told = 0
    const verified = await verifyAudit(database, {
      verifiers,
      checkpoints: [...kept, ...witnessed, ...stored.checkpoints],
      since: start,
      onProgress: (leaves) => {
        if (leaves - told < tellEveryLeaves) return
        told = leaves
        print(`${leaves} leaves read…`)
      },
    })
    const { leaves, read, checkpoints, unsealed, beginnings, archives } = verified
    const untrue = since === undefined ? await toldFindings(database) : []
    const archived = await archivedFindings(database, archives, archive)
    const findings = [...stored.findings, ...missingCheckpoints(stored, kept), ...verified.findings, ...archived, ...untrue]
    print(`${read} of ${leaves} leaves read, ${checkpoints} checkpoints met; ${unsealed} rows wait to be sealed.`)
    if (witnessed.length === 0 && kept.length === 0)
      print('There was no checkpoint from outside the database: whoever owns it could have rewritten all of it.')
    for (const line of beginnings.flatMap(inWordsOf)) print(line)
    return report(findings, kept.at(-1)?.size)
  } finally {
    await database.end()
  }
}

async function archivedFindings(database: Database, archives: readonly Archive[], folder: string | undefined): Promise<readonly Finding[]> {
  for (const { file, rows, sha256 } of archives) {
    const read = folder === undefined ? 'was not read: --archive names its folder' : 'was read'
    print(`${rows} records are in ${file} (SHA-256 ${sha256}), which ${read}.`)
  }
  if (folder === undefined) return []
  return (await Promise.all(archives.map((archive) => verifyArchive(database, archive, join(folder, archive.file))))).flat()
}

/** Of the whole, as a role that may read what the records are about: the database's owner. */
async function toldFindings(database: Database): Promise<readonly Finding[]> {
  try {
    return await readingSnapshot(database, compareTold)
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error
    print('Payments, consents and accounts were not compared with the records: this role may not read them.')
    return []
  }
}

function report(findings: readonly Finding[], size: number | undefined): number {
  if (findings.length === 0) {
    print('Nothing was changed, taken away, slipped in or moved since it was sealed.')
    if (size !== undefined) print(`Next time, "--since ${size}" reads only what comes after.`)
    return exitCodes.sound
  }
  printFindings(findings)
  print(`\nThe books are not as they were sealed: ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}.`)
  return exitCodes.tampered
}

type Arguments = { readonly since: number | undefined; readonly witnesses: readonly string[]; readonly archive: string | undefined }

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      options: { since: { type: 'string' }, witness: { type: 'string', multiple: true, default: [] }, archive: { type: 'string' } },
    })
    if (values.since !== undefined && !/^[1-9][0-9]{0,15}$/.test(values.since)) throw new Error('--since is the size of a checkpoint')
    return { since: values.since === undefined ? undefined : Number(values.since), witnesses: values.witness, archive: values.archive }
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\nusage: npm run audit:verify -- [--since SIZE] [--witness FILE]… [--archive FOLDER]`)
  }
}

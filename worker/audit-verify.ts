/**
 * `npm run audit:verify`: reads what was booked and recorded again, compares it with the sealed tree and the tree with all that
 * was signed, and other tables with what the records say of them, and names what does not fit. `--since SIZE` begins at a checkpoint,
 * `--witness FILE` brings one that was kept elsewhere, `--archive FOLDER` has the records that were archived (audit-archive.ts). On a
 * replica, too. The exit status is 0 only when all that there is was looked at, or all that came since; see `exitCodes`.
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

/** `soundAsFarAsRead`: nothing was found, and something was not looked at, which the last lines name. 2 is that it could not be carried out. */
const exitCodes = { sound: 0, tampered: 1, soundAsFarAsRead: 3 } as const
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
    const untrue = since === undefined ? await toldFindings(database) : { findings: [], unread: [] }
    const archived =
      since === undefined || archive !== undefined ? await archivedFindings(database, archives, archive) : { findings: [], unread: [] }
    const findings = [
      ...stored.findings,
      ...missingCheckpoints(stored, kept),
      ...verified.findings,
      ...archived.findings,
      ...untrue.findings,
    ]
    print(`${read} of ${leaves} leaves read, ${checkpoints} checkpoints met; ${unsealed} rows wait to be sealed.`)
    if (since !== undefined)
      print(`What was sealed up to leaf ${since} was taken for verified${archive ? '' : ', archives too'}; no other table was compared.`)
    for (const line of beginnings.flatMap(inWordsOf)) print(line)
    const unread = [...archived.unread, ...untrue.unread, ...(witnessed.length === 0 && kept.length === 0 ? [noCheckpoint] : [])]
    return report(findings, unread, kept.at(-1)?.size)
  } finally {
    await database.end()
  }
}

/** What was found where it was looked, and where it was not. */
type Looked = { readonly findings: readonly Finding[]; readonly unread: readonly string[] }

const noCheckpoint = 'There was no checkpoint from outside the database: whoever owns it could have rewritten all of it.'

async function archivedFindings(database: Database, archives: readonly Archive[], folder: string | undefined): Promise<Looked> {
  for (const { file, rows, sha256 } of archives)
    print(`${rows} records are in ${file} (SHA-256 ${sha256})${folder ? ', which was read' : ''}.`)
  if (folder === undefined) return { findings: [], unread: archives.map(({ file }) => `${file} was not read: --archive names its folder.`) }
  const found = await Promise.all(archives.map((archive) => verifyArchive(database, archive, join(folder, archive.file))))
  return { findings: found.flat(), unread: [] }
}

/** Of the whole, as a role that may read what the records are about: the database's owner. */
async function toldFindings(database: Database): Promise<Looked> {
  try {
    return { findings: await readingSnapshot(database, compareTold), unread: [] }
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error
    return { findings: [], unread: ['Payments, consents and accounts were not compared with the records: this role may not read them.'] }
  }
}

function report(findings: readonly Finding[], unread: readonly string[], size: number | undefined): number {
  printFindings(findings)
  for (const line of unread) print(`NOT VERIFIED: ${line}`)
  if (findings.length > 0) {
    print(`\nThe books are not as they were sealed: ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}.`)
    return exitCodes.tampered
  }
  print(`Nothing was changed, taken away, slipped in or moved since it was sealed${unread.length === 0 ? '' : ', as far as it was read'}.`)
  if (size !== undefined) print(`Next time, "--since ${size}" reads only what comes after.`)
  return unread.length === 0 ? exitCodes.sound : exitCodes.soundAsFarAsRead
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

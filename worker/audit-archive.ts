/**
 * `npm run audit:archive -- --to FOLDER`: writes audit records that have had the law's years into a file of each partition, compares them with
 * the sealed tree, on their way and as they are on the disk, and drops the partition. As the database's owner. Without `--to`, says what
 * there is. The files hold what the records held: keep them as safe, and in more than one place.
 */
import { parseArgs } from 'node:util'
import { archivableRecords, archiveRecords, CannotArchive } from '@bankside/bank/audit/archive-records'
import { systemClock } from '@bankside/service-kit/clock'
import { openDatabase, transact } from '@bankside/service-kit/postgres'
import { auditCommand } from './audit-command.ts'
import { Complaint, operator, print } from './commands/run-command.ts'
import { databaseToReconcile } from './database-to-reconcile.ts'

const mayTakeMs = 60 * 60_000

process.exitCode = await auditCommand(archive)

async function archive(): Promise<number> {
  const { folder } = readArguments()
  const database = await openDatabase(await databaseToReconcile(), { maxConnections: 2, statementTimeoutMs: mayTakeMs })
  const now = systemClock.now()
  try {
    for (const { partition, dueAt } of await transact(database, archivableRecords)) {
      if (dueAt > now) print(`${partition}: from ${dueAt.toISOString()} on`)
      else if (folder === undefined) print(`${partition}: is due`)
      else {
        const { rows, file, sha256 } = await archiveRecords(database, { partition, folder, actor: operator(), now })
        print(`${partition}: ${rows} records are in ${file} now, and no longer in the database (SHA-256 ${sha256})`)
      }
    }
    return 0
  } catch (error) {
    if (error instanceof CannotArchive) throw new Complaint(`Not archived: ${error.message}.`)
    throw error
  } finally {
    await database.end()
  }
}

function readArguments(): { folder: string | undefined } {
  try {
    return { folder: parseArgs({ options: { to: { type: 'string' } } }).values.to }
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\nusage: npm run audit:archive -- [--to FOLDER]`)
  }
}

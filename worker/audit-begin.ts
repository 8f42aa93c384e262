/**
 * `npm run audit:begin -- --why "…"`: after a restore from a dump, or a failover to a replica that lacked commits, begins the audit log
 * that follows the one which cannot go on. As the database's owner, with the private audit key (`AUDIT_KEYS_FILE`) and the file of
 * checkpoints (`AUDIT_CHECKPOINTS`); `--witness FILE` brings what others kept. Says first what is not as it was sealed, and goes
 * on in spite of it with `--despite-findings` only.
 */
import { parseArgs } from 'node:util'
import { logSigner } from '@bankside/bank/audit/audit-keys'
import { beginLog, CannotBegin, thoseWithin } from '@bankside/bank/audit/begin-log'
import { inWordsOf } from '@bankside/bank/audit/check-leaf'
import { checkpointFile } from '@bankside/bank/audit/checkpoint-file'
import { storedCheckpoints } from '@bankside/bank/audit/stored-checkpoints'
import { verifyAudit } from '@bankside/bank/audit/verify-audit'
import { systemClock } from '@bankside/service-kit/clock'
import { openDatabase } from '@bankside/service-kit/postgres'
import { auditCommand, auditSources, checkpointsIn, printFindings } from './audit-command.ts'
import { Complaint, isWhy, operator, print } from './commands/run-command.ts'

const usage = 'usage: npm run audit:begin -- --why "…" [--despite-findings] [--witness FILE]…'
const mayTakeMs = 10 * 60_000

process.exitCode = await auditCommand(begin)

async function begin(): Promise<number> {
  const { why, witnesses, despite } = readArguments()
  const { databaseUrl, keys, checkpointsPath } = await auditSources()
  const now = systemClock.now()
  const signer = signerOf(keys, now)
  const kept = (
    await Promise.all([checkpointsIn(checkpointsPath, 'the file', signer), ...witnesses.map((path) => checkpointsIn(path, path, signer))])
  ).flat()
  const database = await openDatabase(databaseUrl, { maxConnections: 2, statementTimeoutMs: mayTakeMs })
  try {
    const stored = await storedCheckpoints(database, signer)
    const within = await thoseWithin(database, [...kept, ...stored.checkpoints])
    const { findings: changed } = await verifyAudit(database, { verifiers: signer, checkpoints: within })
    const findings = [...stored.findings, ...changed]
    printFindings(findings)
    if (findings.length > 0 && !despite)
      throw new Complaint('No log was begun: what is there is not as it was sealed. With --despite-findings the next log says so, too.')
    const file = checkpointFile(checkpointsPath)
    const beginning = await beginLog(database, { kept, file, signer, actor: operator(), why, findings: findings.length, now })
    print(inWordsOf(beginning).join('\n'))
    print('All rows that are there are sealed again by the worker that seals. Give the new checkpoint to whoever keeps them.')
    return 0
  } catch (error) {
    if (error instanceof CannotBegin) throw new Complaint(`No log was begun: ${error.message}.`)
    throw error
  } finally {
    await database.end()
  }
}

function signerOf(keys: Parameters<typeof logSigner>[0], now: Date) {
  try {
    return logSigner(keys, now)
  } catch (error) {
    throw new Complaint(`${(error as Error).message}: AUDIT_KEYS_FILE must hold the private part of a key that is in use.`)
  }
}

function readArguments(): { why: string; witnesses: readonly string[]; despite: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        why: { type: 'string', default: '' },
        'despite-findings': { type: 'boolean', default: false },
        witness: { type: 'string', multiple: true, default: [] },
      },
    })
    if (isWhy(values.why)) return { why: values.why, witnesses: values.witness, despite: values['despite-findings'] }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
  }
  throw new Complaint(usage)
}

import { existsSync, readFileSync } from 'node:fs'
import { type AuditKeySet, parseAuditKeys } from '@bankside/bank/audit/audit-keys'
import { BadCheckpoint, type LogVerifiers } from '@bankside/bank/audit/checkpoint'
import { keptCheckpoints } from '@bankside/bank/audit/checkpoint-file'
import type { Finding } from '@bankside/bank/audit/compare-rows'
import type { KeptCheckpoint } from '@bankside/bank/audit/verify-audit'
import { readConfig } from '@bankside/service-kit/config'
import { z } from '@bankside/service-kit/postgres'
import { auditFilesIn, sandboxHome, sealingSettings } from './audit-settings.ts'
import { Complaint, exitStatusOf, print } from './commands/run-command.ts'
import { databaseToReconcile } from './database-to-reconcile.ts'

const notRun = 2

/** @returns the exit status: that of the command, or that it could not be carried out. */
export const auditCommand = (run: () => Promise<number>): Promise<number> => exitStatusOf(run, notRun)

export type AuditSources = { readonly databaseUrl: string; readonly keys: AuditKeySet; readonly checkpointsPath: string }

/** What the settings name, or what the sandbox has. Public keys are enough. */
export async function auditSources(): Promise<AuditSources> {
  const { AUDIT_CHECKPOINTS, BANKSIDE_HOME } = readConfig(settings)
  return {
    databaseUrl: await databaseToReconcile(),
    keys: auditKeys(),
    checkpointsPath: AUDIT_CHECKPOINTS ?? auditFilesIn(BANKSIDE_HOME).checkpoints,
  }
}

export function auditKeys(): AuditKeySet {
  const { AUDIT_KEYS, BANKSIDE_HOME } = readConfig(settings)
  return AUDIT_KEYS ?? keysIn(auditFilesIn(BANKSIDE_HOME).keys)
}

/** @throws {Complaint} for what people can do something about. */
export async function checkpointsIn(path: string, from: string, verifiers: LogVerifiers): Promise<KeptCheckpoint[]> {
  try {
    return (await keptCheckpoints(path, verifiers)).map((checkpoint) => ({ ...checkpoint, from }))
  } catch (error) {
    if (error instanceof BadCheckpoint) throw new Complaint(`A checkpoint in ${path} cannot be used: ${error.message}.`)
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Complaint(`There are no checkpoints in ${path}: nothing was signed yet, or AUDIT_CHECKPOINTS names another file.`)
    throw error
  }
}

export function printFindings(findings: readonly Finding[]): void {
  for (const { what, table, id, column, detail } of findings)
    print(`${what.padEnd(8)}  ${table}  ${id}${column === undefined ? '' : `  ${column}`}  (${detail})`)
}

const { AUDIT_KEYS, AUDIT_CHECKPOINTS } = sealingSettings
const settings = z.object({ AUDIT_KEYS, AUDIT_CHECKPOINTS, BANKSIDE_HOME: sandboxHome })

/** @throws {Complaint} */
export function keysIn(path: string): AuditKeySet {
  if (!existsSync(path)) throw new Complaint(`There are no keys in ${path}: set AUDIT_KEYS_FILE, or name the file.`)
  try {
    return parseAuditKeys(readFileSync(path, 'utf8'))
  } catch {
    throw new Complaint(`${path} does not hold the keys of an audit log: an origin and Ed25519 keys, as JSON.`)
  }
}

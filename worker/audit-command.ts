import { existsSync, readFileSync } from 'node:fs'
import { type AuditKeySet, parseAuditKeys } from '@bankside/bank/audit/audit-keys'
import { readConfig } from '@bankside/service-kit/config'
import { z } from '@bankside/service-kit/postgres'
import { auditFilesIn, sandboxHome, sealingSettings } from './audit-settings.ts'
import { Complaint, exitStatusOf } from './commands/run-command.ts'
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

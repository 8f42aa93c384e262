import { existsSync, readFileSync } from 'node:fs'
import { type AuditKeySet, parseAuditKeys } from '@bankside/bank/audit/audit-keys'
import { ConfigError, readConfig } from '@bankside/service-kit/config'
import { z } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { auditFilesIn, sandboxHome, sealingSettings } from './audit-settings.ts'
import { databaseToReconcile, NothingToReconcile } from './database-to-reconcile.ts'

/** Something that happens to people, with what to do about it. */
export class Problem extends Error {
  override name = 'Problem'
}

const notRun = 2

/** @returns the exit status: that of the command, or that it could not be carried out. */
export async function auditCommand(run: () => Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Problem || error instanceof ConfigError || error instanceof NothingToReconcile) return complain(error.message)
    if (error instanceof Unavailable) return complain('The database does not answer.')
    throw error
  }
}

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

/** @throws {Problem} */
export function keysIn(path: string): AuditKeySet {
  if (!existsSync(path)) throw new Problem(`There are no keys in ${path}: set AUDIT_KEYS_FILE, or name the file.`)
  try {
    return parseAuditKeys(readFileSync(path, 'utf8'))
  } catch {
    throw new Problem(`${path} does not hold the keys of an audit log: an origin and Ed25519 keys, as JSON.`)
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`)
  return notRun
}

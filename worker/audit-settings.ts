import { join } from 'node:path'
import { type AuditKeySet, type AuditKeySource, parseAuditKeys } from '@bankside/bank/audit/audit-keys'
import { databaseUrl, readConfig } from '@bankside/service-kit/config'
import { z } from '@bankside/service-kit/postgres'

const auditKeys = z.string().transform((text, context): AuditKeySet => {
  try {
    return parseAuditKeys(text)
  } catch {
    context.issues.push({ code: 'custom', message: 'must be the JSON of an origin and Ed25519 keys', input: '' })
    return z.NEVER
  }
})

/** A worker that has these seals and signs the audit tree; others leave that to it. */
export const sealingSettings = {
  SEALER_DATABASE_URL: databaseUrl.optional(),
  AUDIT_KEYS: auditKeys.optional(),
  /** The file, outside the database, to which checkpoints are appended. */
  AUDIT_CHECKPOINTS: z.string().optional(),
}

export type Sealing = { readonly databaseUrl: string; readonly checkpoints: string }

/** Undefined where this worker does not seal. */
export function sealingOf(given: {
  SEALER_DATABASE_URL?: string | undefined
  AUDIT_CHECKPOINTS?: string | undefined
}): Sealing | undefined {
  const { SEALER_DATABASE_URL, AUDIT_CHECKPOINTS } = given
  return SEALER_DATABASE_URL === undefined || AUDIT_CHECKPOINTS === undefined
    ? undefined
    : { databaseUrl: SEALER_DATABASE_URL, checkpoints: AUDIT_CHECKPOINTS }
}

/** All of them or none. */
export function refuseHalf(given: Readonly<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const names = Object.keys(sealingSettings)
  const missing = names.filter((name) => given[name] === undefined)
  if (missing.length === names.length) return
  for (const name of missing) context.issues.push({ code: 'custom', message: 'is missing', path: [name], input: undefined })
}

/** The file that `AUDIT_KEYS_FILE` names is read anew each time. */
export const auditKeysFromSettings: AuditKeySource = { read: async () => readConfig(z.object({ AUDIT_KEYS: auditKeys })).AUDIT_KEYS }

export const sandboxHome = z.string().default(join(import.meta.dirname, '..', '.bankside'))
export const auditFilesIn = (home: string) => ({
  keys: join(home, 'audit', 'keys.json'),
  checkpoints: join(home, 'audit', 'checkpoints.jsonl'),
})

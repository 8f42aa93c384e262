import { type AuditKeySource, logSigner } from '@bankside/bank/audit/audit-keys'
import { checkpointFile } from '@bankside/bank/audit/checkpoint-file'
import { sealRows, unsealedSeconds } from '@bankside/bank/audit/seal-rows'
import { hasLastSigned, signTree } from '@bankside/bank/audit/sign-tree'
import { BrokenTree, leavesPerSeal } from '@bankside/bank/audit/stored-tree'
import type { Database } from '@bankside/service-kit/postgres'
import type { Loop } from './run-loop.ts'
import type { WorkerMetrics } from './worker-metrics.ts'

export type AuditLoopNeeds = {
  /** As the role that writes the tree. */
  readonly sealer: Database
  readonly checkpoints: string
  readonly keys: AuditKeySource
  readonly metrics: Pick<WorkerMetrics, 'auditSealedAt' | 'auditLag' | 'auditSignedAt' | 'auditLeaves' | 'auditBroken'>
}

const sealEveryMs = 1_000
/** What is written and taken away again within this time leaves no trace (SECURITY.md). */
const signEveryMs = 10_000

/** Seals what was booked and recorded, and signs what was sealed: behind the payments, which never wait for it. */
export function auditLoops({ sealer, checkpoints, keys, metrics }: AuditLoopNeeds): readonly Loop[] {
  const log = checkpointFile(checkpoints)
  return [
    {
      name: 'seal audit',
      idleMs: sealEveryMs,
      gathers: { atLeast: leavesPerSeal, forMs: sealEveryMs },
      work: async (now) => {
        if (!(await hasLastSigned(sealer, log))) return 0
        const sealed = await sealRows(sealer, { now })
        if (sealed < leavesPerSeal) metrics.auditSealedAt.set(now.getTime() / 1000)
        return sealed
      },
    },
    {
      name: 'sign audit',
      idleMs: signEveryMs,
      work: async (now) => {
        try {
          const signed = await signTree(sealer, { log, signer: logSigner(await keys.read(), now), now })
          if (signed !== undefined) metrics.auditLeaves.set(signed.size)
          metrics.auditSignedAt.set(now.getTime() / 1000)
          metrics.auditLag.set(await unsealedSeconds(sealer, now))
          metrics.auditBroken.set(0)
          return 0
        } catch (error) {
          if (error instanceof BrokenTree) metrics.auditBroken.set(1)
          throw error
        }
      },
    },
  ]
}

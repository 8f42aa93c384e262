import type { Registers } from '@bankside/bank/licences/ask-registers'
import { readRegisterAnswer } from '@bankside/bank/licences/register-entry'
import { httpsUrl } from '@bankside/service-kit/config'
import type { GuardedFetch } from '@bankside/service-kit/guarded-fetch'
import { z } from '@bankside/service-kit/postgres'

/** Registers of third parties, as JSON in one setting. */
export const registerSettings = z
  .string()
  .default('[]')
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: 'must be JSON' })
      return z.NEVER
    }
  })
  .pipe(
    z
      .array(
        z.strictObject({
          /** `iss` of the statements of the directory whose register this is. */
          issuer: z.string().min(1).max(128),
          /** Where it is asked: an organisation is at this address and its id. */
          uri: httpsUrl,
          /** Where the bank is: a licence counts as far as it is for here. */
          member_state: z
            .string()
            .regex(/^[A-Z]{2}$/)
            .default('GB'),
        }),
      )
      .max(10),
  )

/** Over HTTPS: one document for an organisation, with the claims that the statements of its directory have of it. */
export function openRegisters(settings: z.infer<typeof registerSettings>, call: GuardedFetch): Registers {
  return new Map(
    settings.map(({ issuer, uri, member_state }) => [
      issuer,
      async (organisationId: string) => {
        const response = await call(`${uri.replace(/\/$/, '')}/${encodeURIComponent(organisationId)}`, {
          headers: { accept: 'application/json' },
        })
        if (response.status !== 200) throw new Error(`answered ${response.status}`)
        const answer = readRegisterAnswer(await response.json(), organisationId, member_state)
        if (answer === undefined) throw new Error('answered nothing about this organisation')
        return answer
      },
    ]),
  )
}

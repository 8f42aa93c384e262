import { getProfile } from '@bankside/bank/customers/get-profile'
import { refuse } from '@bankside/bank/refusal'
import type { Call, Reply } from '../api.ts'
import { timestamp } from './reply.ts'

/** GET /users/me */
export async function readProfile({ tx, access, token }: Call): Promise<Reply> {
  if (access.customerId === undefined) refuse('token_without_consent', 'the token is of no customer')
  const profile = await getProfile(tx, access.customerId)
  if (profile === undefined) refuse('grant_revoked', 'the customer is no more')
  return {
    status: 200,
    body: {
      sub: token.subject,
      name: profile.fullName,
      email: profile.email,
      email_verified: profile.emailVerified,
      phone: profile.phone,
      created_at: timestamp(profile.createdAt),
    },
  }
}

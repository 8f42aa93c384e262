import { z } from 'zod'
import { refuseRegistration } from './registration-refusal.ts'

/** Members of RFC 7591 and what builds on it that are registered; whatever else a request says is not understood (RFC 7591 section 2). */
export type RegisteredMetadata = z.infer<typeof registeredMetadata>

const text = z.string().min(1).max(512)
const algorithm = z.string().max(16)
const list = z.array(z.string().min(1).max(512)).max(20)

const registeredMetadata = z.object({
  redirect_uris: z.array(z.string().min(1).max(256)).max(20).optional(),
  post_logout_redirect_uris: z.array(z.string().min(1).max(256)).max(20).optional(),
  response_types: list.optional(),
  response_modes: list.optional(),
  grant_types: list.optional(),
  application_type: z.string().max(16).optional(),
  client_name: z.string().max(40).optional(),
  client_uri: text.optional(),
  policy_uri: text.optional(),
  tos_uri: text.optional(),
  scope: z.string().min(1).max(256).optional(),
  token_endpoint_auth_method: z.string().max(40).optional(),
  token_endpoint_auth_signing_alg: algorithm.optional(),
  tls_client_auth_subject_dn: text.optional(),
  tls_client_auth_san_dns: text.optional(),
  tls_client_auth_san_uri: text.optional(),
  tls_client_auth_san_ip: text.optional(),
  tls_client_auth_san_email: text.optional(),
  tls_client_certificate_bound_access_tokens: z.boolean().optional(),
  dpop_bound_access_tokens: z.boolean().optional(),
  require_pushed_authorization_requests: z.boolean().optional(),
  require_signed_request_object: z.boolean().optional(),
  request_object_signing_alg: algorithm.optional(),
  id_token_signed_response_alg: algorithm.optional(),
  authorization_signed_response_alg: algorithm.optional(),
  introspection_signed_response_alg: algorithm.optional(),
  userinfo_signed_response_alg: algorithm.optional(),
  backchannel_token_delivery_mode: z.string().max(8).optional(),
  backchannel_client_notification_endpoint: z.string().min(1).max(256).optional(),
  backchannel_authentication_request_signing_alg: algorithm.optional(),
  backchannel_user_code_parameter: z.literal(false, 'must be false').optional(),
  backchannel_logout_uri: text.optional(),
  backchannel_logout_session_required: z.boolean().optional(),
  authorization_details_types: list.optional(),
  default_max_age: z.int().min(0).max(86_400).optional(),
  require_auth_time: z.boolean().optional(),
  jwks: z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(20) }).optional(),
  jwks_uri: z.string().max(1_024).optional(),
  software_id: z.string().max(40).optional(),
  software_version: z.string().max(40).optional(),
})

/** Not registered, but not passed over in silence either: whoever asks for these would be mistaken about what it got. */
const neverGranted = /^client_secret$|_encrypted_response_|_encryption_|^sector_identifier_uri$/

/** Escapes that JSON knows and no text of the database can hold: zero, and half of a pair. */
const unstorable = /\\u(0000|d[89a-f])/i

/**
 * What of a request can be registered, each member of its type and within its limit.
 *
 * @throws {Refusal} `invalid_client_metadata`, naming everything that is wrong.
 */
export function readMetadata(request: Readonly<Record<string, unknown>>): RegisteredMetadata {
  const parsed = registeredMetadata.safeParse(request)
  const wrong = (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')} ${message}`)
  const refused = Object.keys(request).filter((name) => neverGranted.test(name) && request[name] !== undefined)
  const problems = [...wrong, ...refused.map((name) => `${name} is not accepted`)]
  if (parsed.success && unstorable.test(JSON.stringify(parsed.data))) problems.push('a text holds a character that is none')
  if (!parsed.success || problems.length > 0) return refuseRegistration('invalid_client_metadata', problems.join('; '))
  return parsed.data
}

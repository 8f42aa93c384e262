import type { Registration } from '@bankside/bank/clients/registration'

/** Claims of the signed request that its answer repeats (OBClientRegistration1). */
const repeated = ['iss', 'iat', 'exp', 'aud', 'jti', 'software_statement']

/** Everything that is registered, as it is registered, in the words of the door it came by (DCR-01, UKDCR-13). */
export function registrationAnswer({ client, software, request, registeredAt }: Registration): Record<string, unknown> {
  const { organisation: _ours, application_type, backchannel_user_code_parameter, ...metadata } = client.metadata
  const isUk = software !== undefined
  return {
    ...(isUk && Object.fromEntries(repeated.map((name) => [name, request[name]]))),
    ...metadata,
    ...(application_type !== undefined && { application_type: isUk && application_type === 'native' ? 'mobile' : application_type }),
    ...(backchannel_user_code_parameter !== undefined && {
      [isUk ? 'backchannel_user_code_parameter_supported' : 'backchannel_user_code_parameter']: backchannel_user_code_parameter,
    }),
    client_name: client.name,
    fapi_profile: client.profile,
    client_id: client.clientId,
    client_id_issued_at: Math.floor(registeredAt.getTime() / 1000),
  }
}

'use strict';

/*
 * The provider: its JSON schemas, its defaults and its two statements. Columns
 * are named as the fields are; nested objects are jsonb with only what was set.
 */

const MESSAGE_PARTS = [
	'REQUEST_LINE_URI_USER_PART', 'CONTACT_USER_PART', 'TO_DISPLAY_NAME',
	'TO_USER_PART', 'FROM_DISPLAY_NAME', 'FROM_USER_PART',
	'REMOTE_PARTY_ID_CALLED_PARTY_DISPLAY_NAME',
	'REMOTE_PARTY_ID_CALLED_PARTY_USER_PART',
	'REMOTE_PARTY_ID_CALLING_PARTY_DISPLAY_NAME',
	'REMOTE_PARTY_ID_CALLING_PARTY_USER_PART',
	'P_ASSERTED_IDENTITY_DISPLAY_NAME', 'P_ASSERTED_IDENTITY_USER_PART',
	'P_PREFERRED_IDENTIFY_DISPLAY_NAME',
	'P_PREFERRED_IDENTIFY_USER_PART', 'P_CALLED_PARTY_ID_DISPLAY_NAME',
	'P_CALLED_PARTY_ID_USER_PART', 'DEFAULT',
];

const VERIFICATIONS = [
	'No-TN-Validation', 'TN-Validation-Failed', 'TN-Validation-Passed-B',
	'TN-Validation-Passed-C', 'TN-Validation-Failed-A',
	'TN-Validation-Failed-B', 'TN-Validation-Failed-C',
];

const USER_VALUES = [
	'AUTH_ID', 'CALLER_NUM', 'CALLED_NUM', 'CALLER_DISPLAY_NAME',
	'OUTBOUND_CALLER_ID', 'ORIGINATOR_CALLER_ID',
	'OUTBOUND_CALLER_ID_AND_ORIGINATOR_CALLER_ID', 'ANONYMOUS', 'DEFAULT',
	'CUSTOM',
];

const HOST_VALUES = [
	'TRUNK_HOST_PORT', 'OUT_HOST_PORT', 'CONTACT_URI', 'SIP_DOMAIN',
	'DEFAULT', 'CUSTOM',
];

const OUTBOUND_PARTS = [
	'request_line_uri_user_part', 'request_line_uri_host_part',
	'contact_user_part', 'contact_host_part', 'to_display_name',
	'to_user_part', 'to_host_part', 'from_display_name', 'from_user_part',
	'from_host_part', 'remote_party_id_called_party_display_name',
	'remote_party_id_called_party_user_part',
	'remote_party_id_called_party_host_part',
	'remote_party_id_calling_party_display_name',
	'remote_party_id_calling_party_user_part',
	'remote_party_id_calling_party_host_part',
	'p_asserted_identity_display_name', 'p_asserted_identity_user_part',
	'p_asserted_identity_host_part', 'p_preferred_identify_display_name',
	'p_preferred_identify_user_part', 'p_preferred_identify_host_part',
	'p_called_party_id_display_name', 'p_called_party_id_user_part',
	'p_called_party_id_host_part',
];

const string = (minLength, maxLength) =>
	({type: 'string', minLength, maxLength});
const integer = (minimum, maximum) => ({type: 'integer', minimum, maximum});
const choice = (values) => ({type: 'string', enum: values});
const boolean = {type: 'boolean'};
const port = integer(0, 65535);
const TOKEN = '^[A-Za-z0-9.!%*_+`\'~-]+$';
const HOST = '^[A-Za-z0-9_.:\\[\\]-]+$';
const BLOCKS = '^([0-9a-fA-F.:]+(/[0-9]{1,3})?(;|$))*$';
const NUMBERS = '^([1-9][0-9]{0,17}(-[1-9][0-9]{0,17})?(;|$))*$';
const INT32_MAX = 2147483647;
const CUSTOM_MAX = 255;
const PASSWORD_MAX = 256;
const LIST_MAX = 65536;
const HOST_MAX = 255;

const object = (properties, required = []) =>
	({type: 'object', properties, required, additionalProperties: false});

const outboundPart = (name) => object({
	value: choice(name.endsWith('_host_part') ? HOST_VALUES : USER_VALUES),
	custom_value: string(0, CUSTOM_MAX),
});

const inbound = object({
	caller_num: choice(MESSAGE_PARTS),
	caller_display_name: choice(MESSAGE_PARTS),
	called_num: choice(MESSAGE_PARTS),
	privacy_types_supported:
		choice(['DEFAULT', 'NONE', 'ID', 'USER', 'HEADER', 'SESSION']),
	enable_stir_shaken_validation: boolean,
	pai_header_parameter_name: {...string(1, 64), pattern: TOKEN},
	drop_calls_with_verification_status:
		{type: 'array', uniqueItems: true, items: choice(VERIFICATIONS)},
	pass_api_header_to_uad: boolean,
});

const outbound = object({
	...Object.fromEntries(OUTBOUND_PARTS.map(
		(name) => [name, outboundPart(name)])),
	privacy_types_supported: object({
		value: choice(['DEFAULT', 'NONE', 'ID', 'USER', 'HEADER',
			'SESSION']),
	}),
});

/* Stored fields in the order of the answer. */
const FIELDS = {
	name: string(1, 64),
	enabled: boolean,
	brand: string(1, 64),
	auth_mode: choice(['IP_AUTH', 'REGISTER_AUTH', 'ACCEPT_REGISTER',
		'TEAMS', 'WHATS_APP']),
	transport: choice(['UDP', 'TCP', 'TLS']),
	hostname: {...string(1, HOST_MAX), pattern: HOST},
	port,
	auth_id: string(0, 64),
	username: string(0, 64),
	password: string(0, PASSWORD_MAX),
	registration: boolean,
	register_interval: integer(0, INT32_MAX),
	outbound_server: {...string(1, HOST_MAX), pattern: HOST},
	outbound_server_port: port,
	inlan: boolean,
	single_via_header: boolean,
	rewrite_via_ip: boolean,
	verify_port: boolean,
	keep_alive: boolean,
	keep_alive_interval: integer(0, INT32_MAX),
	concurrency: integer(0, INT32_MAX),
	additional_ips: {...string(0, LIST_MAX), pattern: BLOCKS},
	adjust_sdp_direction: boolean,
	remove_srtp_info: boolean,
	stir_shaken_signature_required: boolean,
	did_numbers: {...string(0, LIST_MAX), pattern: NUMBERS},
	inbound_parameters: inbound,
	outbound_parameters: outbound,
};
const NAMES = Object.keys(FIELDS);

const REQUIRED = ['name', 'transport', 'hostname', 'port', 'outbound_server',
	'outbound_server_port', 'concurrency'];

const DEFAULTS = {
	enabled: true,
	registration: true,
	register_interval: 600,
	inlan: false,
	single_via_header: true,
	rewrite_via_ip: true,
	verify_port: true,
	keep_alive: true,
	keep_alive_interval: 360,
	adjust_sdp_direction: true,
	remove_srtp_info: true,
	stir_shaken_signature_required: false,
};

const INBOUND_DEFAULTS = {
	caller_num: 'DEFAULT',
	caller_display_name: 'DEFAULT',
	called_num: 'DEFAULT',
	privacy_types_supported: 'DEFAULT',
	enable_stir_shaken_validation: false,
	pai_header_parameter_name: 'verstat',
	drop_calls_with_verification_status: [],
	pass_api_header_to_uad: false,
};

const OUTBOUND_DEFAULTS = {
	...Object.fromEntries(OUTBOUND_PARTS.map(
		(name) => [name, {value: 'DEFAULT', custom_value: null}])),
	privacy_types_supported: {value: 'DEFAULT'},
};

/* fast-json-stringify writes these straight; what may be null says so. */
function answered(schema) {
	if (schema.type === 'object') {
		const properties = Object.fromEntries(
			Object.entries(schema.properties).map(
				([name, inner]) => [name, answered(inner)]));
		return {type: 'object', properties};
	}
	if (schema.type === 'array')
		return {type: 'array', items: {type: 'string'}};
	return {type: schema.type, nullable: true};
}

const createBody = object({...FIELDS}, REQUIRED);
for (const [name, fallback] of Object.entries(DEFAULTS))
	createBody.properties[name] = {...FIELDS[name], default: fallback};

const {password, ...shown} = FIELDS;
const answer = {
	type: 'object',
	properties: {
		id: {type: 'string'},
		...answered(object(shown)).properties,
		shared: {type: 'boolean'},
	},
};

const SELECT = {
	name: 'provider_get',
	text: `SELECT id, ${Object.keys(shown).join(', ')}, shared ` +
		'FROM provider.providers WHERE id = $1',
};

const INSERT = {
	name: 'provider_create',
	text: `INSERT INTO provider.providers (${NAMES.join(', ')}) VALUES (` +
		`${NAMES.map((_, index) => `$${index + 1}`).join(', ')}) ` +
		'RETURNING id',
};

function outboundWithDefaults(set) {
	const merged = {...OUTBOUND_DEFAULTS};
	for (const name in set)
		merged[name] = {...OUTBOUND_DEFAULTS[name], ...set[name]};
	return merged;
}

/* A row as it is answered. */
function fromRow(row) {
	row.id = btoa(row.id);
	row.inbound_parameters =
		{...INBOUND_DEFAULTS, ...row.inbound_parameters};
	row.outbound_parameters = outboundWithDefaults(row.outbound_parameters);
	return row;
}

/* The values of the insert, in the order of its columns. */
function toValues(body, seal) {
	body.auth_mode ??= body.registration && body.auth_id ?
		'REGISTER_AUTH' : 'IP_AUTH';
	body.hostname = body.hostname.toLowerCase();
	body.outbound_server = body.outbound_server.toLowerCase();
	body.inbound_parameters ??= {};
	body.outbound_parameters ??= {};
	if (body.password !== undefined)
		body.password = seal(body.password);
	return NAMES.map((name) => body[name] ?? null);
}

/* The id of a path, or null where it is not the text that btoa() gives. */
function idOf(text) {
	const digits = Buffer.from(text, 'base64').toString('latin1');
	return /^[1-9][0-9]{0,18}$/.test(digits) && btoa(digits) === text ?
		digits : null;
}

module.exports = {createBody, answer, SELECT, INSERT, fromRow, toValues, idOf};

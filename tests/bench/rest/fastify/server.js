'use strict';

/*
 * GET /api/providers/{id} and POST /api/providers as a careful Node.js team
 * would write them: Fastify with schemas both ways, named prepared statements,
 * sessions in Redis. Prints the port it listens on.
 *
 *   BENCH_DATABASE_URL, BENCH_REDIS_URL   the servers that the suite uses
 *   BENCH_TUNED=1   ioredis autopipelining, and one pipelined pg client for
 *                   reads in place of the pool: less work than the usual
 */

const crypto = require('node:crypto');
const fastify = require('fastify');
const {Redis} = require('ioredis');
const {Client, Pool} = require('pg');
const provider = require('./provider.js');

const POOL_CONNECTIONS = 10; /* pg's own default */
const tuned = process.env.BENCH_TUNED === '1';
const sealKey = crypto.randomBytes(32);

function seal(clear) {
	const nonce = crypto.randomBytes(12);
	const cipher = crypto.createCipheriv('aes-256-gcm', sealKey, nonce);
	const sealed = Buffer.concat([nonce, cipher.update(clear, 'utf8'),
		cipher.final(), cipher.getAuthTag()]);
	return sealed.toString('hex');
}

/* Writes always go through the pool: in one pipeline each would wait for the
 * commit of the one before it. */
async function databasesOpen() {
	const connectionString = process.env.BENCH_DATABASE_URL;
	const writes = new Pool({connectionString, max: POOL_CONNECTIONS});
	if (!tuned)
		return {reads: writes, writes};
	const reads = new Client({connectionString, pipeline: true});
	await reads.connect();
	return {reads, writes};
}

function refuse(reply, status, code, message) {
	return reply.code(status).send({errors: [{code, message}]});
}

function sessionCheck(redis) {
	return async (request, reply) => {
		const [scheme, token] =
			(request.headers.authorization ?? '').split(' ');
		if (scheme !== 'Bearer' || !token)
			return refuse(reply, 401, 'UNAUTHORIZED', 'no token');
		const digest = crypto.hash('sha256', token);
		const text = await redis.get(`bench-session:${digest}`);
		const session = text && JSON.parse(text);
		if (!session || session.expires_at * 1000 < Date.now())
			return refuse(reply, 401, 'UNAUTHORIZED', 'no session');
		request.principal = session.principal;
	};
}

async function main() {
	const {reads, writes} = await databasesOpen();
	const redis = new Redis(process.env.BENCH_REDIS_URL,
		{enableAutoPipelining: tuned});
	const app = fastify({logger: false});
	app.decorateRequest('principal', null);
	app.addHook('onRequest', sessionCheck(redis));
	app.get('/api/providers/:id', {
		schema: {response: {200: provider.answer}},
	}, async (request, reply) => {
		const id = provider.idOf(request.params.id);
		const {rows} = id === null ? {rows: []} : await reads.query(
			{...provider.SELECT, values: [id]});
		if (rows.length === 0)
			return refuse(reply, 404, 'NOT_FOUND', 'no such provider');
		return provider.fromRow(rows[0]);
	});
	app.post('/api/providers', {
		schema: {
			body: provider.createBody,
			response: {201: {type: 'object',
				properties: {id: {type: 'string'}}}},
		},
	}, async (request, reply) => {
		const values = provider.toValues(request.body, seal);
		const {rows} = await writes.query(
			{...provider.INSERT, values});
		reply.code(201);
		return {id: btoa(rows[0].id)};
	});
	await app.listen({host: '127.0.0.1', port: 0});
	console.log(app.server.address().port);
	process.on('SIGTERM', async () => {
		await app.close();
		await writes.end();
		if (tuned)
			await reads.end();
		redis.disconnect();
	});
}

main();

import express from 'express';
const app = express();
app.get('/api/demarches', (request, response) => response.json([]));
